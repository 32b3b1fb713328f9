"""A layer's ways: who stays at each count, what makes up for the others, and what that loses. It loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from torch import nn

from headroom.change.synapses.correlation import (
    ContributionCorrelation,
    Correlation,
    HeldCorrelation,
    VectorCorrelation,
)
from headroom.change.synapses.damage import least_damage_all
from headroom.change.synapses.planning.batches import Batches
from headroom.change.synapses.planning.layers import Place
from headroom.change.synapses.sampling import sample_inputs
from headroom.change.synapses.search import Selection, search, search_counts
from headroom.change.synapses.slim import Removal, slim
from headroom.change.synapses.transform import Transform, output_error, transformed
from headroom.change.synapses.units import as_numpy
from headroom.change.synapses.vectors import Floats, Grain, by_vector, flat
from headroom.errors import UsageError

#: Weights per output up to which normal equations are solved in a moment: 300 MB of float64.
_SOLVED = 6144
#: Synapse vectors whose correlations are kept at once: 256 MB of float32.
_HELD = 8192
#: Rows of a sample: what a fit of so many weights needs, within reason.
_ROWS_PER_WEIGHT, _FEWEST_ROWS, _MOST_ROWS = 2, 1024, 8192


class Correlate(StrEnum):
    """What decides who goes."""

    AUTO = "auto"
    """Least damage where there are data to tell it and the layer is small enough, else correlations."""
    WEIGHTS = "weights"
    INPUTS = "inputs"
    CONTRIBUTIONS = "contributions"
    LEAST_DAMAGE = "least-damage"


@dataclass(frozen=True)
class Settings:
    """What the user chose. ``transform`` of ``None`` is the best that the sample allows; ``threshold`` asks for one
    way at that correlation instead of several counts."""

    correlate: Correlate = Correlate.AUTO
    transform: Transform | None = None
    threshold: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UsageError(f"a threshold of {self.threshold:g} means nothing; choose one above 0 and up to 1")
        if self.threshold is not None and self.correlate is Correlate.LEAST_DAMAGE:
            raise UsageError(
                "a threshold is one of correlations, and least-damage has none; choose what to correlate: weights, "
                "inputs or contributions"
            )


@dataclass(frozen=True, eq=False)
class Sampled:
    """A layer with what it reads, and how it is to be treated."""

    place: Place
    grain: Grain
    weight: Floats
    inputs: Floats
    correlate: Correlate
    transform: Transform
    notes: tuple[str, ...]

    @property
    def vectors(self) -> int:
        return int(self.weight.shape[1])


def sampled(network: nn.Module, place: Place, grain: Grain, batches: Batches, settings: Settings) -> Sampled:
    """Sample a layer's inputs, and decide what to correlate and what makes up for it."""
    weight = by_vector(as_numpy(place.module.weight), grain).astype(np.float32)
    fitted = weight.shape[1] * weight.shape[2]
    rows = min(_MOST_ROWS, max(_FEWEST_ROWS, _ROWS_PER_WEIGHT * fitted))
    read = (batch.inputs for batch in batches.calibration)
    inputs = sample_inputs(network, read, {place.name: grain}, rows=rows, seed=settings.seed)[place.name]
    # A fit through fewer rows than it has weights follows their noise.
    fits = fitted <= _SOLVED and len(inputs) > fitted
    notes = []
    correlate, transform = settings.correlate, settings.transform
    if correlate is Correlate.LEAST_DAMAGE and not fits:
        correlate = Correlate.CONTRIBUTIONS
        notes.append(_too_large("contributions are correlated", fitted, len(inputs)))
    if correlate is Correlate.AUTO:
        correlate = Correlate.LEAST_DAMAGE if fits and not batches.random else Correlate.WEIGHTS
        if settings.threshold is not None:
            correlate = Correlate.WEIGHTS
        elif not fits and not batches.random:
            correlate = Correlate.CONTRIBUTIONS
            notes.append(_too_large("contributions are correlated", fitted, len(inputs)))
    if transform is Transform.SOLVE and not fits:
        transform = Transform.FOLD
        notes.append(_too_large("removed vectors are folded", fitted, len(inputs)))
    if transform is None:
        transform = Transform.SOLVE if fits and not batches.random else Transform.FOLD
    return Sampled(place, grain, weight, inputs, correlate, transform, tuple(notes))


def in_blocks(layer: Sampled, size: int) -> Sampled:
    """The layer with every ``size`` neighbouring features as one synapse vector, as a search is to see it."""
    weight, inputs = (each.reshape(len(each), -1, size) for each in (layer.weight, layer.inputs))
    return replace(layer, weight=weight, inputs=inputs)


def _too_large(instead: str, fitted: int, rows: int) -> str:
    return f"{fitted} weights per output cannot be fitted to {rows} sampled rows: {instead}"


def selections(layer: Sampled, counts: Sequence[int]) -> list[Selection]:
    """Who stays at each count."""
    if layer.correlate is Correlate.LEAST_DAMAGE:
        return least_damage_all(layer.weight, layer.inputs, counts)
    correlation = correlation_of(layer)
    if layer.vectors <= _HELD:
        # Several passes look at the same correlations.
        correlation = HeldCorrelation(correlation)
    return search_counts(correlation, counts)


def at_threshold(layer: Sampled, alpha: float) -> Selection:
    """Who stays at a threshold."""
    return search(correlation_of(layer), alpha)


def correlation_of(layer: Sampled) -> Correlation:
    """What the search is to compare."""
    match layer.correlate:
        case Correlate.INPUTS:
            return VectorCorrelation(flat(layer.inputs))
        case Correlate.CONTRIBUTIONS:
            return ContributionCorrelation(flat(layer.weight), flat(layer.inputs))
        case _:
            return VectorCorrelation(flat(layer.weight))


def made(layer: Sampled, selection: Selection, *, random: bool) -> tuple[nn.Module, float]:
    """The slim layer, and how far its outputs are from the dense one's on the sample, as a share.

    Of random inputs nothing is learnt: removed vectors are then folded by the search's correlation alone.
    """
    learnt = None if random and layer.transform is Transform.FOLD else layer.inputs
    alone = nn.Sequential(copy.deepcopy(layer.place.module))
    removal = Removal(layer.grain, selection, layer.transform, learnt)
    (module,) = slim(alone, {"0": removal})
    reduced = transformed(layer.transform, layer.weight, selection, learnt)
    return module, output_error(layer.weight, reduced, layer.inputs)
