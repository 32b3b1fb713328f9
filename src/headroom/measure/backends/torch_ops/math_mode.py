"""The arithmetic that PyTorch may use for products in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from headroom.graph.tensor import DataType


@contextmanager
def math_mode(dtype: DataType) -> Iterator[None]:
    """Allow tf32 for a run in tf32 and for no other; whatever was set before is set again afterwards."""
    allow = dtype is DataType.TF32
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allow
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def math_name(dtype: DataType, *, products: bool) -> str:
    """What products are rounded to and accumulated in, as a row tells it."""
    return "tf32" if dtype is DataType.TF32 and products else "fp32"
