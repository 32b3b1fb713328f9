"""Which counts of a layer's synapse vectors are looked at, and who stays at each. Importing it loads PyTorch."""

from __future__ import annotations

from headroom.change.synapses.planning.clock import SHARES, AlongK
from headroom.change.synapses.planning.ways import Sampled, at_threshold, selections
from headroom.change.synapses.search import Selection, keep_at_least
from headroom.change.synapses.vectors import Grain

#: Columns of an im2col matrix that a kernel multiplies at a time.
COLUMN_TILE = 32


def candidates(layer: Sampled, along: AlongK, threshold: float | None) -> list[Selection]:
    """Who stays, at counts that are worth having; each count once, and never all.

    Args:
        threshold: of the one search that is asked for, instead of several counts.
    """
    worth = along.up_to if layer.grain is not Grain.COLUMN else _whole_tiles
    if threshold is not None:
        found = [at_threshold(layer, threshold)]
    else:
        counts = along.candidates() if layer.grain is not Grain.COLUMN else _columns(layer.vectors)
        found = selections(layer, counts)
    counted = {}
    for selection in found:
        count = worth(max(1, len(selection.retained)))
        if count < layer.vectors:
            counted[count] = keep_at_least(selection, count)
    return list(counted.values())


def _columns(vectors: int) -> list[int]:
    """Counts of im2col columns to look at, ascending."""
    return sorted({_whole_tiles(round(share * vectors)) for share in SHARES} - {0})


def _whole_tiles(count: int) -> int:
    """Rounded up to what a kernel of ours walks through at a time along K."""
    return -(-count // COLUMN_TILE) * COLUMN_TILE
