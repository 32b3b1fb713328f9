"""The synapse search of the DeftNN paper (section 4.1.2): which synapse vectors stay, and who represents the others.

Readings of the paper, where it leaves a choice:

- The sum of equation 7 runs over the synapse vectors, K of them, although it calls their number N, which is the
  columns of the inputs everywhere else. It counts the vector itself.
- "This process is repeated on the remaining synapse vectors": representation counts are those among the remaining.
- Equation 7 compares the signed correlation. A vector of the opposite sign is not represented: it pulls the outputs
  the other way, and scaling its representative up in its place (equation 5) would move them further off.
- Of equal counts the first vector is retained, so that equal layers give equal results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headroom.change.synapses.adjacency import Bits, adjacency, unpacked
from headroom.change.synapses.correlation import Correlation, HeldCorrelation
from headroom.change.synapses.vectors import Floats, Indices
from headroom.errors import UsageError

#: Rows of bits that are spread out at a time.
_ROWS = 256
#: Rounds of search when a count is asked for, and thresholds tried in each: 4^-6 is finer than a threshold means.
_ROUNDS, _TRIED = 6, 3
#: Thresholds that a first look for several counts shares, and those whose bits are held at once.
_SHARED, _AT_ONCE = 13, 7
#: The lowest threshold that is tried for a count.
_LOWEST = 2.0**-12
#: Synapse vectors up to which correlations are kept from one round to the next: 64 MB.
_HELD = 4096


@dataclass(frozen=True, eq=False)
class Selection:
    """What a search decided for K synapse vectors.

    Attributes:
        alpha: the threshold.
        retained: indices that stay, ascending.
        representative: (K,) who represents each vector: itself if it stays, -1 if it is dead.
        correlation: (K,) its correlation with that one; 1 for itself, 0 where there is none.
    """

    alpha: float
    retained: Indices
    representative: Indices
    correlation: Floats

    @property
    def count(self) -> int:
        """K, before anything was removed."""
        return len(self.representative)

    @property
    def removed(self) -> Indices:
        """Indices that go, ascending: represented ones and dead ones."""
        return np.flatnonzero(self.representative != np.arange(self.count))

    @property
    def represented(self) -> Indices:
        """Removed indices that have a representative, ascending."""
        return np.flatnonzero((self.representative != np.arange(self.count)) & (self.representative >= 0))


def search(correlation: Correlation, alpha: float) -> Selection:
    """Retain the vector that represents most, drop those it represents, repeat until every vector is decided."""
    return search_all(correlation, [alpha])[0]


def search_all(correlation: Correlation, alphas: Sequence[float]) -> list[Selection]:
    """A selection per threshold; the correlations are computed once for all of them.

    Memory: K^2 / 8 bytes per threshold, and one block of correlations.

    Raises:
        UsageError: a threshold is not in (0, 1].
    """
    found = []
    for alpha, bits in zip(alphas, adjacency(correlation, alphas), strict=True):
        representative = represent(bits, correlation.count)
        found.append(_selection(correlation, alpha, representative))
    return found


def represent(bits: Bits, count: int) -> Indices:
    """(K,) the representative of each vector, -1 where the vector has none because its row is empty.

    Counts are kept, not computed again: whoever is decided is taken off the counts of its neighbours, once. So the work
    is that of reading every row of bits once, besides K choices of a largest count.
    """
    counts = np.bitwise_count(bits).sum(1, dtype=np.int32)
    remaining = counts > 0
    representative = np.full(count, -1, np.intp)
    while True:
        best = int(counts.argmax())
        if counts[best] <= 1:
            # Nobody represents another any more.
            alone = np.flatnonzero(remaining)
            representative[alone] = alone
            return representative
        covered = np.flatnonzero(unpacked(bits[best], count) & remaining)
        representative[covered] = best
        remaining[covered] = False
        for start in range(0, len(covered), _ROWS):
            counts -= unpacked(bits[covered[start : start + _ROWS]], count).sum(0, dtype=np.int32)
        counts[covered] = 0


def _selection(correlation: Correlation, alpha: float, representative: Indices) -> Selection:
    itself = np.arange(len(representative))
    values = (representative == itself).astype(np.float64)
    lost = np.flatnonzero((representative != itself) & (representative >= 0))
    values[lost] = correlation.pairs(lost, representative[lost])
    return Selection(alpha, np.flatnonzero(representative == itself), representative, values)


def spread(selection: Selection, size: int) -> Selection:
    """A decision about blocks as one about their synapse vectors, ``size`` neighbours in each."""
    places = np.arange(size)
    by = selection.representative[:, None]
    return Selection(
        selection.alpha,
        (selection.retained[:, None] * size + places).ravel(),
        np.where(by < 0, -1, by * size + places).ravel(),
        np.repeat(selection.correlation, size),
    )


def keep_at_least(selection: Selection, count: int) -> Selection:
    """The selection with removed vectors taken back until ``count`` stay: those that are represented worst first.

    Raises:
        UsageError: there are not so many vectors.
    """
    if count > selection.count:
        raise UsageError(f"{count} synapse vectors cannot stay of {selection.count}; ask for fewer")
    missing = count - len(selection.retained)
    if missing <= 0:
        return selection
    # Dead ones last: they are missed by nobody.
    represented = selection.represented[np.argsort(selection.correlation[selection.represented], kind="stable")]
    dead = np.flatnonzero(selection.representative < 0)
    back = np.concatenate([represented, dead])[:missing]
    representative, values = selection.representative.copy(), selection.correlation.copy()
    representative[back], values[back] = back, 1.0
    retained = np.flatnonzero(representative == np.arange(selection.count))
    return Selection(selection.alpha, retained, representative, values)


def round_up(selection: Selection, worth: int | Sequence[int]) -> Selection:
    """The selection with as many vectors as a GPU's tiles reward: the next of the counts worth having.

    Args:
        worth: a multiple, or the counts themselves, as a staircase along K lists them. All K vectors are always worth
            having: where nothing below reaches the selection's count, nothing is removed.

    Raises:
        UsageError: the multiple is below 1.
    """
    count = len(selection.retained)
    if isinstance(worth, int):
        if worth < 1:
            raise UsageError(f"a multiple of {worth} synapse vectors cannot be kept; choose 1 or more")
        target = -(-count // worth) * worth
    else:
        target = min((each for each in worth if each >= count), default=selection.count)
    return keep_at_least(selection, min(target, selection.count))


def search_count(correlation: Correlation, count: int) -> Selection:
    """The selection that keeps ``count`` vectors, at the highest threshold that keeps no more.

    Thresholds close in on it, a few in each of ``_ROUNDS`` passes over the correlations; what the last one removed too
    many is taken back. Where even the lowest keeps more, its selection is returned: what is left correlates with
    nothing.
    """
    if correlation.count <= _HELD:
        correlation = HeldCorrelation(correlation)
    low, high = _LOWEST, 1.0
    best = search(correlation, low)
    if len(best.retained) > count:
        return best
    for _ in range(_ROUNDS):
        for found in search_all(correlation, np.linspace(low, high, _TRIED + 2)[1:-1].tolist()):
            if len(found.retained) > count:
                high = found.alpha
                break
            low, best = found.alpha, found
    return keep_at_least(best, count)


def search_counts(correlation: Correlation, counts: Sequence[int]) -> list[Selection]:
    """A selection per count, like those of :func:`search_count`, for a few passes over the correlations altogether.

    All counts share the thresholds of a first look; a second one looks between the two that each count lies between.
    """
    coarse = _in_parts(correlation, np.linspace(_LOWEST, 1.0, _SHARED).tolist())
    between: set[float] = set()
    for count in counts:
        low, high = _around(coarse, count)
        between.update(np.linspace(low, high, _TRIED + 2)[1:-1].tolist())
    found = coarse + _in_parts(correlation, sorted(between - {each.alpha for each in coarse}))
    return [keep_at_least(_highest(found, count), count) for count in counts]


def _in_parts(correlation: Correlation, alphas: Sequence[float]) -> list[Selection]:
    """:func:`search_all` of a few thresholds at a time, whose bits are in memory at once."""
    parts = (alphas[start : start + _AT_ONCE] for start in range(0, len(alphas), _AT_ONCE))
    return [found for part in parts for found in search_all(correlation, part)]


def _around(found: Sequence[Selection], count: int) -> tuple[float, float]:
    """The highest threshold that keeps no more than ``count``, and the next one."""
    alphas = sorted(each.alpha for each in found)
    low = _highest(found, count).alpha
    return low, next((alpha for alpha in alphas if alpha > low), low)


def _highest(found: Sequence[Selection], count: int) -> Selection:
    """The one of the highest threshold that keeps no more than ``count``; where none does, the one that keeps least."""
    fitting = [each for each in found if len(each.retained) <= count]
    if fitting:
        return max(fitting, key=lambda each: each.alpha)
    return min(found, key=lambda each: len(each.retained))
