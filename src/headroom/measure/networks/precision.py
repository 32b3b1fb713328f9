"""The data type of a run, in PyTorch's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headroom.graph.tensor import DataType
from headroom.measure.bench import UnsupportedError

if TYPE_CHECKING:
    import torch


def torch_dtype(dtype: DataType) -> torch.dtype:
    """The element type that a module's floating-point tensors are given.

    Raises:
        UnsupportedError: PyTorch runs no whole network in it.
    """
    import torch

    if dtype is DataType.FP8:
        raise UnsupportedError("PyTorch runs no whole network in fp8; measure it in bf16, or its layers in fp8")
    return {DataType.BF16: torch.bfloat16, DataType.FP16: torch.float16}.get(dtype, torch.float32)


@contextmanager
def products_in(dtype: DataType) -> Iterator[None]:
    """Within, fp32 products are rounded to tf32 if and only if that is the data type."""
    import torch

    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    rounded = dtype is DataType.TF32
    torch.set_float32_matmul_precision("high" if rounded else "highest")
    torch.backends.cudnn.allow_tf32 = rounded
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions
