"""The dimensions of a reduction, which its record leaves to the shapes."""

from __future__ import annotations

from itertools import combinations

from headroom.measure.bench import UnsupportedError

Shape = tuple[int, ...]


def reduced_dimensions(before: Shape, after: Shape) -> tuple[Shape, bool]:
    """The dimensions whose values are joined, and whether they stay as dimensions of size 1.

    Where several choices give the same shape the last dimensions are taken: means over space are what models use.

    Raises:
        UnsupportedError: no choice gives the shape.
    """
    rank = len(before)
    if len(after) == rank and all(b in (a, 1) for a, b in zip(before, after, strict=True)):
        return tuple(d for d in range(rank) if before[d] != after[d]) or (rank - 1,), True
    for dims in sorted(combinations(range(rank), rank - len(after)), reverse=True):
        if tuple(size for d, size in enumerate(before) if d not in dims) == after:
            return dims, False
    raise UnsupportedError(f"no dimensions of {before} can be reduced to give {after}")
