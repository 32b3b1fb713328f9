"""Fewer synapse vectors, still dense: the search and the transforms of the DeftNN paper, and what goes past it.

This package needs NumPy alone. What works on PyTorch networks is in :mod:`~headroom.change.synapses.slim`,
:mod:`~headroom.change.synapses.sampling`, :mod:`~headroom.change.synapses.modules` and
:mod:`~headroom.change.synapses.stored`.
"""

from headroom.change.synapses.correlation import ContributionCorrelation, Correlation, VectorCorrelation
from headroom.change.synapses.damage import least_damage
from headroom.change.synapses.frontier import Composition, Front, LayerOptions, Option
from headroom.change.synapses.plan import LayerPlan, SynapsePlan
from headroom.change.synapses.reorder import Reordering, reorder
from headroom.change.synapses.search import (
    Selection,
    keep_at_least,
    round_up,
    search,
    search_all,
    search_count,
    search_counts,
)
from headroom.change.synapses.transform import (
    Reduced,
    Transform,
    fold,
    output_error,
    scale,
    solve,
    transformed,
    truncate,
)
from headroom.change.synapses.vectors import Grain, by_vector, flat

__all__ = [
    "Composition",
    "ContributionCorrelation",
    "Correlation",
    "Front",
    "Grain",
    "LayerOptions",
    "LayerPlan",
    "Option",
    "Reduced",
    "Reordering",
    "Selection",
    "SynapsePlan",
    "Transform",
    "VectorCorrelation",
    "by_vector",
    "flat",
    "fold",
    "keep_at_least",
    "least_damage",
    "output_error",
    "reorder",
    "round_up",
    "scale",
    "search",
    "search_all",
    "search_count",
    "search_counts",
    "solve",
    "transformed",
    "truncate",
]
