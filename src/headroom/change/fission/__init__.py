"""Fewer bits next to the compute: values travel packed and are split in registers (the DeftNN paper, section 4.2).

This package needs NumPy alone. What works on PyTorch networks is in :mod:`~headroom.change.fission.modules`,
:mod:`~headroom.change.fission.pack` and :mod:`~headroom.change.fission.stored`; CUDA sources are in ``kernels/``.
"""

from headroom.change.fission.formats import FORMATS, Format, Packed, format_called

__all__ = ["FORMATS", "Format", "Packed", "format_called"]
