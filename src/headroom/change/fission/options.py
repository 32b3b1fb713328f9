"""What each format would do to a layer: bytes, error of its outputs, predicted time. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import nn

from headroom.advise.packing import UNTIMED_PCT, packed_us
from headroom.advise.timed import TimedGraph
from headroom.change.fission.calibration import Trial, layer_error
from headroom.change.fission.choose import Option
from headroom.change.fission.formats import FORMATS
from headroom.change.fission.packable import Layer
from headroom.change.fission.plan import LayerPlan
from headroom.change.fission.timing import Stopwatch, Times
from headroom.change.synapses.planning.stand_ins import options_of
from headroom.errors import UsageError
from headroom.graph.layer import Layer as GraphLayer


def layer_plan(
    name: str,
    layer: Layer,
    trial: Trial,
    inputs: Any,
    timed: TimedGraph,
    forms: tuple[str, ...],
    *,
    tied: bool,
    stopwatch: Stopwatch | None = None,
) -> LayerPlan:
    """The layer's options, none of them chosen.

    Args:
        inputs: what it reads on the calibration data.
        tied: whether others own its weight too, so that the dense weight stays when this layer is packed.
        stopwatch: times the layer in every format; without it times are the theory's.

    Raises:
        GpuError: the layer cannot be timed.
    """
    calls = _calls(timed, trial.places[name])
    time_us, error_pct = _time(timed, calls)
    predicted_us, measured_us = time_us, _measured(stopwatch, layer, timed, calls, forms)
    if measured_us is not None:
        time_us, error_pct = measured_us.dense_us, measured_us.error_pct
    options = []
    for form in forms:
        try:
            twin = trial.twin(name, form)
        except UsageError:  # its weights are past the format's largest value
            continue
        error = layer_error(layer, twin, inputs)
        packed_us = _packed_time(timed, calls, form) if measured_us is None else measured_us.packed_us.get(form)
        options.append(Option(form, twin.packed_bytes, error, packed_us))
    kind = "conv2d" if isinstance(layer, nn.Conv2d) else "linear"
    value_bytes = 4 if timed.dtype.value in ("fp32", "tf32") else 1 if timed.dtype.value == "fp8" else 2
    dense_bytes = layer.weight.numel() * value_bytes
    held_bytes = 0 if tied else dense_bytes
    return LayerPlan(
        *(name, kind, layer.weight.numel(), dense_bytes, held_bytes, time_us, error_pct, tuple(options)),
        predicted_us=None if measured_us is None else predicted_us,
    )


def _measured(
    stopwatch: Stopwatch | None, layer: Layer, timed: TimedGraph, calls: list[int], forms: tuple[str, ...]
) -> Times | None:
    """All calls of the layer, timed; ``None`` for one that never runs, and for slim ones, which have no stand-in."""
    if stopwatch is None or not calls or not isinstance(layer, nn.Linear | nn.Conv2d):
        return None
    found = [stopwatch(timed.graph.layers[index], options_of(layer), forms) for index in calls]
    packed = {
        form: sum(each.packed_us[form] for each in found)
        for form in forms
        if all(form in each.packed_us for each in found)
    }
    return Times(sum(each.dense_us for each in found), max(each.error_pct for each in found), packed)


def _calls(timed: TimedGraph, places: Collection[str]) -> list[int]:
    """Where the graph runs the layer, whichever of its names it is called by."""
    layers = enumerate(timed.graph.layers)
    return [index for index, layer in layers if layer.module in places and layer.kind.computes_gemm]


def _time(timed: TimedGraph, calls: list[int]) -> tuple[float | None, float | None]:
    """All calls of a layer, and the error bar of their times."""
    if not calls:
        return None, None
    return sum(timed.times_us[index] for index in calls), timed.theory_error_pct(calls) + UNTIMED_PCT


def _packed_time(timed: TimedGraph, calls: list[int], form: str) -> float | None:
    """All calls of a layer with weights of ``form``; ``None`` unless every one is bound by its weights."""
    times = [_packed_call(timed, timed.graph.layers[index], timed.times_us[index], form) for index in calls]
    known = [time_us for time_us in times if time_us is not None]
    return sum(known) if known and len(known) == len(times) else None


def _packed_call(timed: TimedGraph, layer: GraphLayer, time_us: float, form: str) -> float | None:
    gemm = layer.gemm
    return packed_us(timed, layer, time_us, form, FORMATS[form].group_of(gemm.k) if gemm is not None else None)
