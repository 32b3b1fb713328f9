"""Looking for the best formats whose real outputs keep the budget. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headroom.change.fission.calibration import Trial, measured_quality, output_error, outputs_of
from headroom.change.fission.choose import Option, choose, together
from headroom.change.fission.plan import Goal, LayerPlan, PackPlan
from headroom.change.fission.wishes import Wishes

#: Trials with the real network: the budget of the layers' errors is doubled or halved, then bisected.
_TRIALS = 7


def best_within(plan: PackPlan, trial: Trial, batches: Sequence[Any], wishes: Wishes) -> PackPlan:
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
    error = output_error(outputs_of(network, batches, called_as="the packed network"), wanted)
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
        return float(layer.held_bytes - option.bytes)
    return 0.0 if option.time_us is None or layer.time_us is None else layer.time_us - option.time_us


def _total(plan: PackPlan, goal: Goal) -> float:
    return float(plan.bytes[1]) if goal is Goal.MEMORY else -plan.saves_us
