"""One network of one way per layer, and the proof that it is the dense one with zeros. Importing it loads PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from headroom.change.synapses.planning.kept import Kept, with_zeros
from headroom.change.synapses.planning.layers import sole_readers
from headroom.change.synapses.planning.study import Study
from headroom.change.synapses.planning.together import gone_with_producers
from headroom.change.synapses.search import Selection
from headroom.change.synapses.slim import Removal, layer_of, slim
from headroom.change.synapses.stored import Smaller
from headroom.change.synapses.transform import Transform
from headroom.change.synapses.vectors import Grain
from headroom.change.widths.groups import Axis, WidthGroup, WidthGroups, set_widths, specification, width_groups
from headroom.change.widths.groups.proof import EQUAL
from headroom.change.widths.groups.run import difference, outputs, telling
from headroom.errors import ModelError


@dataclass(frozen=True, eq=False)
class Composed:
    """A slim network.

    Attributes:
        network: the slim one, in evaluation mode.
        reference: the dense one with zeros, which it equals.
        smaller: what became an ordinary smaller layer, its producers' filters gone.
        difference: by how much it differs from ``reference`` in float64, as a share of the largest output.
        notes: what could not be had.
    """

    network: nn.Module
    reference: nn.Module
    smaller: Smaller
    difference: float
    notes: tuple[str, ...] = ()


def compose(network: nn.Module, example: Any, study: Study, kept: Mapping[str, Kept]) -> Composed:
    """The chosen point of ``study`` as a network; the dense one stays as it is.

    Args:
        kept: the weights of every layer that loses synapse vectors at that point.

    Raises:
        ModelError: the weights are not of this network, or the slim one does not equal the dense one with zeros.
    """
    removed = {layer.name: (layer, way) for layer, way in study.removed()}
    held = {name: (_grain(way.grain), kept[name]) for name, (_, way) in removed.items()}
    reference = with_zeros(network, held)
    producers = {name for name, (layer, way) in removed.items() if gone_with_producers(layer, way)}
    changed, smaller, notes = _without_filters(reference, example, {name: kept[name] for name in sorted(producers)})
    gathered = {
        name: Removal(grain, _selection(study, name, each, changed), Transform.TRUNCATE)
        for name, (grain, each) in held.items()
        if name not in smaller.layers
    }
    found = slim(changed, gathered).eval()
    return Composed(found, reference, smaller, _proved(reference, found, example), notes)


def _without_filters(
    reference: nn.Module, example: Any, kept: Mapping[str, Kept]
) -> tuple[nn.Module, Smaller, tuple[str, ...]]:
    """The network without the filters that make removed channels which nobody else reads."""
    if not kept:
        return reference, Smaller(), ()
    sole: Mapping[str, WidthGroup] = {}
    try:
        groups = width_groups(reference, example)
        sole = sole_readers(groups)
        kept = {name: each for name, each in kept.items() if _whole_units(reference, name, each, sole[name].width)}
        return *_narrowed(reference, example, groups, kept), ()
    except (ModelError, KeyError) as error:
        # Selecting the channels at run time is right as well, only slower.
        note = f"Producers keep their filters, and channels are selected instead: {error}."
    unspread = {
        name: each for name, each in kept.items() if name in sole and sole[name].width == _inputs(reference, name)
    }
    if not unspread or len(unspread) == len(kept):
        return reference, Smaller(), (note,)
    # A flattening after a permutation, say, does not put a channel's features side by side.
    found, smaller, notes = _without_filters(reference, example, unspread)
    return found, smaller, (*notes, f"{', '.join(sorted({*kept} - {*unspread}))}: {note}")


def _narrowed(
    reference: nn.Module, example: Any, groups: WidthGroups, kept: Mapping[str, Kept]
) -> tuple[nn.Module, Smaller]:
    """The network without those filters, and what became smaller.

    Raises:
        ModelError: it does not run so, or is another function than ``reference``.
    """
    if not kept:
        return reference, Smaller()
    sole = sole_readers(groups)
    sizes = {name: _inputs(reference, name) for name in kept}
    widths = {sole[name].name: len(each.retained) * sole[name].width // sizes[name] for name, each in kept.items()}
    importance = {Axis(f"{name}.weight", 1): _marked(each, sizes[name]) for name, each in kept.items()}
    changed = set_widths(reference, example, groups, widths, importance=importance).eval()
    _proved(reference, changed, example)
    return changed, Smaller(tuple(kept), specification(reference, changed, widths))


def _inputs(network: nn.Module, name: str) -> int:
    """Channels or features that a layer reads."""
    return int(layer_of(network, name).weight.shape[1])


def _whole_units(network: nn.Module, name: str, kept: Kept, width: int) -> bool:
    """Whether of each channel's neighbouring inputs, which a flattening may have made many, all stay or none."""
    marks = _marked(kept, _inputs(network, name)).reshape(width, -1)
    return bool((marks == marks[:, :1]).all())


def _marked(kept: Kept, count: int) -> np.ndarray:
    marks = np.zeros(count)
    marks[kept.retained.numpy()] = 1.0
    return marks


def _selection(study: Study, name: str, kept: Kept, changed: nn.Module) -> Selection:
    """Who stays, as the transform wants to hear it."""
    way = next(way for layer, way in study.removed() if layer.name == name)
    retained = np.sort(kept.retained.numpy())
    representative = np.full(way.vectors, -1)
    representative[retained] = retained
    return Selection(way.alpha or 1.0, retained, representative, (representative >= 0).astype(np.float64))


def _grain(grain: Grain | None) -> Grain:
    assert grain is not None
    return grain


def _proved(reference: nn.Module, found: nn.Module, example: Any) -> float:
    """By how much the two differ in float64, as a share of the largest output.

    Raises:
        ModelError: by more than rounding, or the outputs are not finite.
    """
    inputs = telling(example, reference, torch.Generator().manual_seed(0))
    before, after = (outputs(copy.deepcopy(each).cpu().double(), inputs) for each in (reference, found))
    if [each.shape for each in before] != [each.shape for each in after]:
        raise ModelError("the slim network's outputs have another shape than the dense one's; discard it")
    if not all(bool(torch.isfinite(each).all()) for each in after):
        raise ModelError("the slim network's outputs are not finite; discard it")
    apart = float(difference(before, after))
    if not apart <= EQUAL:
        raise ModelError(
            f"the slim network differs by {100 * apart:.2g} % from the dense one with zeros for what went; discard it"
        )
    return apart
