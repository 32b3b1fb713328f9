"""Where the batch sits inside a tensor, and where a reshape carries it.

Exporters that saw one batch write it into the constants of Reshape. What the reshape was meant to do can
still be read off: elements keep their order in memory, so the batch keeps its stride.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BatchAxis:
    """The batch inside dimension ``dim``: that dimension is (outer, batch, ``inner``), often (1, batch, 1)."""

    dim: int
    inner: int = 1

    def stride(self, shape: Shape) -> int:
        """Elements between one sample and the next."""
        return self.inner * math.prod(shape[self.dim + 1 :])


def changed_dims(before: Shape, after: Shape) -> list[int]:
    """Dimensions in which two shapes of one tensor differ."""
    return [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]


def scaled(shape: Shape, dim: int, batch: int, reference: int) -> Shape | None:
    """The shape with one dimension carried over to another batch; ``None`` where it holds no whole batch."""
    if shape[dim] % reference:
        return None
    return (*shape[:dim], shape[dim] // reference * batch, *shape[dim + 1 :])


def holds(shape: Shape, dim: int, stride: int, batch: int) -> bool:
    """Whether ``batch`` samples that lie ``stride`` elements apart fit into one dimension of ``shape``."""
    below = math.prod(shape[dim + 1 :])
    return below <= stride and stride * batch <= below * shape[dim] and stride % below == 0


def carried_through(
    source: Shape, axis: BatchAxis, result: Shape, batch: int, in_blocks: bool = False
) -> BatchAxis | None:
    """Where a reshape from ``source`` to ``result`` puts the batch of ``batch`` samples.

    With a batch of 1 several places have the right stride. A dimension of size 1 there is the batch itself;
    otherwise the batch was merged into a neighbour. Features, the last dimension, never hold it; of the
    others it is the one that the reshape changes (``view(length, batch * heads, width)``), or the one on the
    batch's left if neither changes (``view(length * batch, width)``). With ``in_blocks`` the batch rather stays
    with what it was merged with (``view(pixels, batch * patches * heads, width)``). A wrong guess changes the work of a
    later layer and is refused there.
    """
    stride = axis.stride(source)
    places = [dim for dim in range(len(result)) if holds(result, dim, stride, batch)]
    if not places:
        return None
    dim = _best(places, source, axis, result, stride, in_blocks) if batch == 1 else places[0]
    return BatchAxis(dim, stride // math.prod(result[dim + 1 :]))


def _best(places: list[int], source: Shape, axis: BatchAxis, result: Shape, stride: int, in_blocks: bool) -> int:
    own = [dim for dim in places if result[dim] == 1 and math.prod(result[dim + 1 :]) == stride]
    if own:
        return axis.dim if axis.dim in own else own[0]
    blocks = [dim for dim in places if stride // math.prod(result[dim + 1 :]) % axis.inner == 0]
    if in_blocks and axis.inner > 1 and blocks:
        return blocks[0]
    changed = [dim for dim in places if result[dim] not in source and dim != len(result) - 1]
    return changed[0] if changed else places[0]
