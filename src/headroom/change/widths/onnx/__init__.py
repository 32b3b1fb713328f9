"""Wider ONNX files that compute the same: file in, file out, checked by ONNX Runtime. Importing it loads PyTorch."""

from headroom.change.widths.onnx.grow import grow_onnx, onnx_width_groups

__all__ = ["grow_onnx", "onnx_width_groups"]
