"""Rows of steps that several implementations need, not of one of them: why a step failed is kept like a result."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.store.rows import Implementation, Status, Timing

_BENCH, _LISTING = "bench", "candidates"

#: What the rows of missing libraries are called.
LIBRARY = "library"

#: Making the operands, without which nothing runs.
OPERANDS = Implementation(_BENCH, "operands")

#: Whatever was not tried for want of time: a sweep with this row is not finished.
REST = Implementation(_BENCH, "rest")


def listing_of(library: str) -> Implementation:
    """Asking a library for its implementations, or for more of them."""
    return Implementation(library, _LISTING)


def library_of(name: str) -> Implementation:
    """Having a library at all: a sweep with this row is finished only for as long as the library is missing."""
    return Implementation(name, LIBRARY)


#: What a row is called whose implementation was timed under conditions that do not last.
DISTURBED = frozenset({Status.THROTTLED, Status.UNSTABLE})

#: Within this factor of the best, two brief times tell nothing of which is faster: noise is smaller than that. A chain
#: with a disturbed time this near its best is not finished.
NEAR_BEST = 1.15

#: The names that tell steps from implementations.
NAMES = (OPERANDS.name, REST.name, _LISTING, LIBRARY)


def is_step(implementation: Implementation) -> bool:
    return implementation.name in NAMES


def is_finished(timings: Iterable[Timing]) -> bool:
    """Whether a visit tried all there was to try, as far as these rows of it tell.

    Whether visiting the chain again would tell more for another reason (a library that is there by now, a GPU that was
    throttled) is for whoever asks later: :func:`headroom.store.read.select_finished`.
    """
    return all(row.implementation != REST for row in timings)
