"""The kinds of layer."""

from __future__ import annotations

from enum import StrEnum


class LayerKind(StrEnum):
    """What a layer is. The value is what users see in tables and JSON."""

    CONVOLUTION = "convolution"
    MATMUL = "matmul"
    MATVEC = "matvec"
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    NORMALIZATION = "normalization"
    POOLING = "pooling"
    SOFTMAX = "softmax"
    ACTIVATION = "activation"
    ELEMENTWISE = "elementwise"
    REDUCTION = "reduction"
    MOVEMENT = "movement"
    EMBEDDING = "embedding"
    FREE = "free"
    UNKNOWN = "unknown"

    @property
    def computes_gemm(self) -> bool:
        """Whether the layer's work is matrix multiplication at heart, so that tensor cores may run it."""
        return self in _GEMM_KINDS

    @property
    def does_work(self) -> bool:
        """Whether running the layer launches anything: a reshape does not."""
        return self is not LayerKind.FREE


_GEMM_KINDS = frozenset(
    {LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC, LayerKind.ATTENTION, LayerKind.RECURRENT}
)
