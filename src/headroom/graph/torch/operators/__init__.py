"""One file per family of ATen operators. Importing this package fills the table in :mod:`..registry`."""

from headroom.graph.torch.operators import (
    attention,
    convolution,
    creation,
    einsum,
    elementwise,
    matmul,
    movement,
    normalization,
    pooling,
    recurrent,
    reduction,
    views,
)

__all__ = [
    "attention",
    "convolution",
    "creation",
    "einsum",
    "elementwise",
    "matmul",
    "movement",
    "normalization",
    "pooling",
    "recurrent",
    "reduction",
    "views",
]
