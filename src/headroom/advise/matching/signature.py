"""The common words for what a layer asks for and what a framework ran."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What is done, coarsely: as far as both a layer and a kernel's name tell it."""

    CONVOLUTION = "convolution"
    PRODUCT = "product"
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    NORMALIZATION = "normalization"
    POOLING = "pooling"
    SOFTMAX = "softmax"
    POINTWISE = "pointwise"
    REDUCTION = "reduction"
    MOVEMENT = "movement"
    EMBEDDING = "embedding"
    OTHER = "other"

    @property
    def multiplies(self) -> bool:
        """Whether matrix products are what it is made of. These are what a model is recognised by."""
        return self in _MULTIPLIES


_MULTIPLIES = frozenset({Family.CONVOLUTION, Family.PRODUCT, Family.ATTENTION, Family.RECURRENT})

#: The least and the most values that a grid of thread blocks can stand for.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Signature:
    """What is done to how much data; whatever is not known is empty.

    ``functions`` are canonical names (:mod:`.functions`); a fused kernel has several. ``source`` and ``weight`` are
    the dimensions of the data and of the constant operand; ``product`` is ``(macs, k)`` of a matrix product;
    ``spans`` are the counts of values written that the launch allows, one per way of counting.
    """

    family: Family
    functions: frozenset[str] = frozenset()
    source: tuple[int, ...] = ()
    weight: tuple[int, ...] = ()
    product: tuple[int, int] | None = None
    written: int | None = None
    spans: tuple[Span, ...] = ()
