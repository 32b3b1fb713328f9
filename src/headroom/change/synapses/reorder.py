"""Synapse reordering (section 4.1.1 of the DeftNN paper, Figure 5): swap misplaced pairs, then cut the rest off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.change.synapses.vectors import Indices
from headroom.errors import UsageError


@dataclass(frozen=True, eq=False)
class Reordering:
    """An order of K synapse vectors in which the retained ones come first.

    Attributes:
        order: (K,) which vector stands at each place.
        retained_count: K - D, where the partition lies.
        swaps: (pairs, 2) places that were swapped to get there; the swaps do not touch each other, so that they can be
            made in place and at once.
    """

    order: Indices
    retained_count: int
    swaps: Indices

    @property
    def retained(self) -> Indices:
        """(K - D,) the vector that stands at each place that stays."""
        return self.order[: self.retained_count]


def reorder(retained: Indices, count: int) -> Reordering:
    """Swap every discarded vector left of column K - D with a retained one right of it; there are equally many.

    Args:
        retained: distinct indices below ``count``.
        count: K.

    Raises:
        UsageError: an index is out of range or named twice.
    """
    stays = np.zeros(count, np.bool_)
    if len(retained) and (min(retained) < 0 or max(retained) >= count or len(np.unique(retained)) != len(retained)):
        raise UsageError(f"retained synapse vectors are distinct indices below {count}; check the selection")
    stays[retained] = True
    partition = len(retained)
    discarded_left = np.flatnonzero(~stays[:partition])
    retained_right = partition + np.flatnonzero(stays[partition:])
    order = np.arange(count)
    order[discarded_left], order[retained_right] = retained_right, discarded_left
    return Reordering(order, partition, np.stack([discarded_left, retained_right], axis=1))
