"""Packing a network: errors of every layer in every format, a choice within the budget, and the proof on real outputs.

Importing it loads PyTorch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from headroom.advise.packing import UNTIMED_PCT, packed_us
from headroom.advise.timed import TimedGraph
from headroom.change.fission.calibration import (
    Trial,
    inputs_of_layers,
    layer_error,
    measured_quality,
    outputs_of,
    packable,
    relative_norm,
)
from headroom.change.fission.choose import Option, choose, together
from headroom.change.fission.formats import FORMATS, format_called
from headroom.change.fission.plan import Goal, LayerPlan, PackPlan
from headroom.errors import UsageError

#: Formats that are looked at unless others are named: those that pay on today's GPUs, one of each size and kind.
USUAL = ("deft16q", "int8", "fp8_e4m3", "deft8e3", "int4_g128", "int4_g32")
#: Trials with the real network: the budget of the layers' errors is doubled or halved, then bisected.
_TRIALS = 7


@dataclass(frozen=True)
class Wishes:
    """What the user allows.

    Attributes:
        budget: relative error of the network's outputs, root mean square.
        goal: what is made small.
        forms: formats to look at.
        metric: says how good a network is, larger being better; ``None`` without one.
        max_loss: how much of the metric may go.
    """

    budget: float = 0.02
    goal: Goal = Goal.TIME
    forms: tuple[str, ...] = USUAL
    metric: Callable[[nn.Module], Any] | None = None
    max_loss: float | None = None

    def __post_init__(self) -> None:
        for name in self.forms:
            format_called(name)
        if not 0 <= self.budget < 1:
            raise UsageError(
                f"an output error of {self.budget} is no budget; expected a share from 0 to 1, such as 0.02"
            )
        if (self.metric is None) != (self.max_loss is None):
            raise UsageError("a metric and how much of it may be lost go together: give both or neither")


def plan_pack(
    network: nn.Module, batches: Sequence[Any], timed: TimedGraph, wishes: Wishes, *, calibration: str = ""
) -> tuple[PackPlan, nn.Module]:
    """The plan for ``network``, and the packed copy; the network itself stays as it is.

    Args:
        batches: calibration data, what the network is called with one after the other.
        timed: the network as a graph on the GPU that it is for.
        calibration: what the plan calls the data.

    Raises:
        UsageError: nothing can be packed, or the metric fails.
        ModelError: the network fails on the data.
    """
    changed = copy.deepcopy(network).eval()
    layers = packable(changed)
    inputs = inputs_of_layers(changed, batches, tuple(layers))
    layers = {name: layer for name, layer in layers.items() if name in inputs}
    if not layers:
        raise UsageError("the network runs no linear layer or convolution with finite weights; nothing can be packed")
    trial = Trial(changed, layers)
    plans = tuple(_layer_plan(name, layers[name], trial, inputs[name], timed, wishes) for name in layers)
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
        total_us=timed.sequential_us,
        quality=None if quality is None else (quality, quality),
        max_loss=wishes.max_loss,
    )
    best = _within(plan, trial, batches, wishes)
    return best, trial.put(best.forms)


def _layer_plan(name: str, layer: nn.Module, trial: Trial, inputs: Any, timed: TimedGraph, wishes: Wishes) -> LayerPlan:
    time_us, error_pct = _time(timed, name)
    options = []
    for form in wishes.forms:
        twin = trial.twin(name, form)
        error = layer_error(layer, twin, inputs)
        options.append(Option(form, twin.packed_bytes, error, _packed_time(timed, name, form)))
    kind = "conv2d" if isinstance(layer, nn.Conv2d) else "linear"
    value_bytes = 4 if timed.dtype.value in ("fp32", "tf32") else 1 if timed.dtype.value == "fp8" else 2
    weights = layer.weight.numel()
    return LayerPlan(name, kind, weights, weights * value_bytes, time_us, error_pct, tuple(options))


def _within(plan: PackPlan, trial: Trial, batches: Sequence[Any], wishes: Wishes) -> PackPlan:
    """The best plan whose real outputs keep the budget: what layers' errors add up to is only where to look."""
    wanted = outputs_of(trial.put({}), batches)
    gains = {
        layer.name: [(option, _gain(layer, option, wishes.goal)) for option in layer.options] for layer in plan.layers
    }
    best, fits, fails = plan, 0.0, float("inf")
    budget = wishes.budget
    seen: set[tuple[tuple[str, str], ...]] = set()
    for _ in range(_TRIALS):
        chosen = choose(gains, budget)
        tried = _chosen(plan, chosen)
        key = tuple(sorted(tried.forms.items()))
        if key not in seen:
            seen.add(key)
            tried = _judged(tried, trial, batches, wanted, wishes)
            if _keeps(tried, wishes):
                fits = budget
                best = tried if _total(tried, wishes.goal) <= _total(best, wishes.goal) else best
            else:
                fails = budget
        elif key == tuple(sorted(best.forms.items())):
            fits = budget
        else:
            fails = budget
        if budget <= 0:
            break
        budget = 2 * fits if fails == float("inf") else (fits + fails) / 2
    return best


def _judged(plan: PackPlan, trial: Trial, batches: Sequence[Any], wanted: Any, wishes: Wishes) -> PackPlan:
    network = trial.put(plan.forms)
    error = relative_norm(outputs_of(network, batches) - wanted, wanted)
    if wishes.metric is None or plan.quality is None:
        return replace(plan, output_error=error)
    return replace(plan, output_error=error, quality=(plan.quality[0], measured_quality(wishes.metric, network)))


def _keeps(plan: PackPlan, wishes: Wishes) -> bool:
    lost = 0.0 if plan.quality is None else plan.quality[0] - plan.quality[1]
    return plan.output_error <= wishes.budget and lost <= (wishes.max_loss or 0.0)


def _chosen(plan: PackPlan, chosen: Mapping[str, Option]) -> PackPlan:
    layers = tuple(
        replace(layer, chosen=chosen[layer.name].form if layer.name in chosen else None) for layer in plan.layers
    )
    return replace(plan, layers=layers, predicted_error=together(chosen))


def _gain(layer: LayerPlan, option: Option, goal: Goal) -> float:
    if goal is Goal.MEMORY:
        return float(layer.dense_bytes - option.bytes)
    return 0.0 if option.time_us is None or layer.time_us is None else layer.time_us - option.time_us


def _total(plan: PackPlan, goal: Goal) -> float:
    return float(plan.bytes[1]) if goal is Goal.MEMORY else -plan.saves_us


def _time(timed: TimedGraph, name: str) -> tuple[float | None, float | None]:
    """All calls of a module, and the error bar of their times."""
    indices = [
        index for index, layer in enumerate(timed.graph.layers) if layer.module == name and layer.kind.computes_gemm
    ]
    if not indices:
        return None, None
    return sum(timed.times_us[index] for index in indices), timed.theory_error_pct(indices) + UNTIMED_PCT


def _packed_time(timed: TimedGraph, name: str, form: str) -> float | None:
    """All calls of a module with weights of ``form``; ``None`` unless every one is bound by its weights."""
    total_us = 0.0
    found = False
    for index, layer in enumerate(timed.graph.layers):
        if layer.module != name or not layer.kind.computes_gemm:
            continue
        gemm = layer.gemm
        group = FORMATS[form].group_of(gemm.k) if gemm is not None else None
        after_us = packed_us(timed, layer, timed.times_us[index], form, group)
        if after_us is None:
            return None
        total_us, found = total_us + after_us, True
    return total_us if found else None
