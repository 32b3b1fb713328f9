"""Packing a network: errors of every layer in every format, a choice within the budget, and the proof on real outputs.

Importing it loads PyTorch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from headroom.advise.timed import TimedGraph
from headroom.change.fission.calibration import Trial, inputs_of_layers, measured_quality
from headroom.change.fission.options import layer_plan
from headroom.change.fission.packable import packable, tied, unpackable
from headroom.change.fission.plan import LayerPlan, PackPlan
from headroom.change.fission.search import best_within
from headroom.change.fission.timing import Stopwatch
from headroom.change.fission.wishes import Wishes
from headroom.errors import ModelError, UsageError
from headroom.text import view

_UNKNOWN = "the calibration data never reach it, or reach it as zeros alone"


def plan_pack(
    network: nn.Module,
    batches: Sequence[Any],
    timed: TimedGraph,
    wishes: Wishes,
    *,
    calibration: str = "",
    stopwatch: Stopwatch | None = None,
) -> tuple[PackPlan, nn.Module]:
    """The plan for ``network``, and the packed copy; the network itself stays as it is.

    Args:
        batches: calibration data, what the network is called with one after the other.
        timed: the network as a graph on the GPU that it is for.
        calibration: what the plan calls the data.
        stopwatch: times every layer in every format, so that what is chosen is the fastest; without it by the theory.

    Raises:
        GpuError: a layer cannot be timed.
        UsageError: nothing can be packed, or the metric fails.
        ModelError: the network cannot be copied, or fails on the data.
    """
    changed = _copied(network)
    layers = packable(changed)
    inputs = inputs_of_layers(changed, batches, tuple(layers))
    left_out = unpackable(changed) | {name: _UNKNOWN for name in layers if name not in inputs}
    layers = {name: layer for name, layer in layers.items() if name in inputs}
    if not layers:
        raise UsageError(_nothing(left_out))
    trial, shared = Trial(changed, layers), tied(changed)
    plans = tuple(
        layer_plan(
            *(name, layer, trial, inputs[name], timed, wishes.forms),
            tied=id(layer.weight) in shared,
            stopwatch=stopwatch,
        )
        for name, layer in layers.items()
    )
    quality = None if wishes.metric is None else measured_quality(wishes.metric, changed)
    plan = PackPlan(
        model=timed.graph.name,
        gpu=timed.gpu.id,
        dtype=timed.dtype.value,
        batch=timed.graph.batch,
        l2=timed.l2_state,
        goal=wishes.goal,
        budget=wishes.budget,
        layers=plans,
        output_error=0.0,
        predicted_error=0.0,
        calibration=calibration,
        total_us=timed.sequential_us + sum(_found_us(each) for each in plans),
        quality=None if quality is None else (quality, quality),
        max_loss=wishes.max_loss,
        left_out=left_out,
    )
    best = best_within(plan, trial, batches, wishes)
    return best, trial.put(best.forms)


def _found_us(plan: LayerPlan) -> float:
    """By how much a layer takes longer than the theory says, where it was measured."""
    return 0.0 if plan.predicted_us is None or plan.time_us is None else plan.time_us - plan.predicted_us


def _copied(network: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(network).eval()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"the network cannot be copied, which packing does first: {reason}") from error


def _nothing(left_out: Mapping[str, str]) -> str:
    """Why nothing can be packed, by the first layer that cannot."""
    if not left_out:
        return "the network has no linear layer or convolution; nothing can be packed"
    name, reason = next(iter(left_out.items()))
    more = f" ({len(left_out) - 1} more are left out)" if len(left_out) > 1 else ""
    return f"nothing can be packed: {view(name, 60) or 'the network'} is left out because {reason}{more}"
