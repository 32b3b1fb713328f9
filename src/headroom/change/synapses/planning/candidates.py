"""Which counts of a layer's synapse vectors are looked at, and who stays at each. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Callable

from headroom.change.synapses.planning.clock import SHARES, AlongK
from headroom.change.synapses.planning.ways import Sampled, at_threshold, in_blocks, selections
from headroom.change.synapses.search import Selection, keep_at_least, spread
from headroom.change.synapses.vectors import Grain

#: Columns of an im2col matrix that a kernel multiplies at a time.
COLUMN_TILE = 32


def candidates(layer: Sampled, along: AlongK, threshold: float | None) -> list[Selection]:
    """Who stays, at counts that are worth having; each count once, and never all.

    Args:
        threshold: of the one search that is asked for, instead of several counts.
    """
    if layer.grain is Grain.FEATURE and layer.place.block > 1:
        return _blocks(layer, along, threshold)
    worth = along.up_to if layer.grain is not Grain.COLUMN else _whole_tiles
    if threshold is not None:
        found = [at_threshold(layer, threshold)]
    else:
        counts = along.candidates() if layer.grain is not Grain.COLUMN else _columns(layer.vectors)
        found = selections(layer, counts)
    return _counted(found, worth, layer.vectors)


def _blocks(layer: Sampled, along: AlongK, threshold: float | None) -> list[Selection]:
    """The same for features that are made by one channel: they stay together, or go with its filter."""
    size = layer.place.block
    blocked = in_blocks(layer, size)
    if threshold is not None:
        found = [at_threshold(blocked, threshold)]
    else:
        counts = sorted({-(-count // size) for count in along.candidates()} - {blocked.vectors})
        found = selections(blocked, counts)
    kept = _counted(found, lambda count: -(-along.up_to(count * size) // size), blocked.vectors)
    return [spread(each, size) for each in kept]


def _counted(found: list[Selection], worth: Callable[[int], int], vectors: int) -> list[Selection]:
    """Each count that is worth having once, and never all."""
    counted = {}
    for selection in found:
        count = worth(max(1, len(selection.retained)))
        if count < vectors:
            counted[count] = keep_at_least(selection, count)
    return list(counted.values())


def _columns(vectors: int) -> list[int]:
    """Counts of im2col columns to look at, ascending."""
    return sorted({_whole_tiles(round(share * vectors)) for share in SHARES} - {0})


def _whole_tiles(count: int) -> int:
    """Rounded up to what a kernel of ours walks through at a time along K."""
    return -(-count // COLUMN_TILE) * COLUMN_TILE
