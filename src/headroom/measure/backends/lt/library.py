"""The library itself: found, opened once per process, and named in errors where it is missing."""

from __future__ import annotations

from functools import cache
from typing import Any

from headroom.errors import GpuError
from headroom.graph.tensor import DataType
from headroom.measure.bench import UnsupportedError


@cache
def bindings() -> Any:
    """The module ``nvmath.bindings.cublasLt``.

    Raises:
        GpuError: nvmath-python is not installed.
    """
    try:
        from nvmath.bindings import cublasLt
    except ImportError as error:
        raise GpuError(f"nvmath-python cannot be imported ({error}): pip install 'headroom[gpu]'") from error
    return cublasLt


@cache
def handle() -> int:
    """This process's one handle.

    Raises:
        GpuError: cuBLASLt is missing, or there is no GPU.
    """
    library = bindings()
    try:
        return int(library.create())
    except (library.cuBLASLtError, RuntimeError, OSError) as error:
        raise GpuError(f"cuBLASLt cannot be opened: {error}") from error


def stored_type(dtype: DataType) -> int:
    """The library's number for what is stored in memory."""
    from nvmath import CudaDataType

    return int(
        {
            DataType.FP32: CudaDataType.CUDA_R_32F,
            DataType.TF32: CudaDataType.CUDA_R_32F,
            DataType.FP16: CudaDataType.CUDA_R_16F,
            DataType.BF16: CudaDataType.CUDA_R_16BF,
            DataType.FP8: CudaDataType.CUDA_R_8F_E4M3,
        }[dtype]
    )


def added_type(dtype: DataType) -> int:
    """What residual and bias are stored in: fp8 products take theirs in bf16."""
    return stored_type(DataType.BF16 if dtype is DataType.FP8 else dtype)


def scale_type() -> int:
    """What the factors alpha and beta are stored in."""
    return stored_type(DataType.FP32)


def compute_type(dtype: DataType) -> int:
    """How products are summed: in fp32, with tf32's rounding of factors where that is asked for."""
    from nvmath.bindings.cublas import ComputeType

    return int(ComputeType.COMPUTE_32F_FAST_TF32 if dtype is DataType.TF32 else ComputeType.COMPUTE_32F)


def is_tensor_core(flags: int) -> bool:
    """Whether an algorithm's numerical flags (cublasLt.h, ``CUBLASLT_NUMERICAL_IMPL_FLAGS``) name a tensor core."""
    return bool(flags & 0xFE)


def is_declined(error: BaseException) -> bool:
    """Whether the library says of its arguments that it does not take them, rather than that it failed."""
    return any(f"CUBLAS_STATUS_{name}" in str(error) for name in ("INVALID_VALUE", "NOT_SUPPORTED", "ARCH_MISMATCH"))


def declined(error: BaseException) -> UnsupportedError:
    """The library's error as what the stopwatch makes a row of."""
    return UnsupportedError(str(error).partition(". You can set")[0][:300])
