"""The library itself: found, opened once per process, and named in errors where it is missing."""

from __future__ import annotations

from functools import cache
from typing import Any

from headroom.graph.tensor import DataType
from headroom.measure.bench import UnsupportedError


@cache
def frontend() -> Any:
    """The module ``cudnn``.

    Raises:
        UnsupportedError: it is not installed.
    """
    try:
        import cudnn
    except ImportError as error:
        raise UnsupportedError(
            f"the Python package of cuDNN's frontend cannot be imported ({error}): pip install 'headroom[gpu]'"
        ) from error
    return cudnn


@cache
def handle() -> Any:
    """This process's one handle, on the current GPU.

    Raises:
        UnsupportedError: cuDNN itself is missing, or there is no GPU.
    """
    try:
        return frontend().create_handle()
    except RuntimeError as error:
        raise UnsupportedError(f"cuDNN cannot be opened: {error}") from error


def data_type(dtype: DataType, types: Any) -> Any:
    """The library's name, of its ``types``, of what is stored in memory; tf32 is stored as fp32."""
    return {
        DataType.FP32: types.FLOAT,
        DataType.TF32: types.FLOAT,
        DataType.FP16: types.HALF,
        DataType.BF16: types.BFLOAT16,
        DataType.FP8: types.FP8_E4M3,
    }[dtype]
