"""A recorded run under another setting of PyTorch's: what each layer then takes, from the rows of PyTorch's choices.

A layer's new time is its recorded one times the ratio of the two settings' rows, so that what a run differs from the
stopwatch in stays. Layers whose kernels PyTorch writes itself have no rows per layout; how much longer those take in
channels_last was taken from recorded runs of 12 networks, and stands below.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from headroom.advise.choices import Choices, Setting
from headroom.advise.recorded import Recorded
from headroom.advise.timed import TimedGraph
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Movement, Normalization, Pooling
from headroom.store.rows import Timing


class Layout(StrEnum):
    """The order of values in memory of a run's activations."""

    NCHW = "nchw"
    NHWC = "nhwc"


#: PyTorch's maximum pooling in NHWC: one CTA works through many windows, so that few windows take as long as many;
#: in us, and window elements per us once there are more.
NHWC_MAX_POOL_US = 22.0
NHWC_MAX_POOL_RATE = 0.65e6

#: Averages over space in NHWC read values that lie apart: at least this long, in us.
NHWC_AVERAGE_US = 6.0

#: Longer in NHWC by these factors: concatenation leaves its vectorised kernel, BatchNorm reads its constants per value.
NHWC_CONCAT = 1.5
NHWC_BATCH_NORM = 1.2

#: Words in the names of PyTorch's own kernels that tell the order they work in.
_NAMES = {Layout.NHWC: ("channels_last", "max_pool_forward_nhwc"), Layout.NCHW: ("max_pool_forward_nchw", "NCHW")}


def layout_of(run: Recorded, choices: Choices) -> Layout:
    """The layout that a run's activations have: as its kernels' names tell, else the one whose rows fit its times."""
    for layout, words in _NAMES.items():
        if any(word in launch.name for launch in run.step.launches for word in words):
            return layout
    misses = dict.fromkeys(Layout, 0.0)
    for layer in choices.layers:
        time_us = run.time_us(run.launches_of(layer, alone=True))
        rows = {layout: choices.torch(layer, Setting(layout)) for layout in Layout}
        for layout, row in rows.items():
            if row is not None and all(rows.values()):
                misses[layout] += abs(time_us - (row.median_us or 0.0))
    return min(misses, key=misses.__getitem__)


def changed_to(run: Recorded, choices: Choices, setting: Setting, layers: Iterable[int] | None = None) -> Change:
    """The run under ``setting``, for all layers or for ``layers`` alone."""
    graph = run.case.timed.graph
    now = Setting(layout_of(run, choices))
    change = Change()
    for layer in range(len(graph.layers)) if layers is None else layers:
        launches = run.launches_of(layer, alone=True)
        if not launches:
            continue
        if graph.layers[layer].kind is LayerKind.CONVOLUTION:
            before, after = choices.torch(layer, now), choices.torch(layer, setting)
            if before is not None and after is not None and before is not after:
                change |= _by_rows(run, launches, before, after)
            elif setting.layout != now.layout and (before is None or after is None):
                change |= run.without(set(launches) & set(run.extras("transpose")))
        elif setting.layout != now.layout:
            change |= _by_layout(run, graph.layers[layer], launches, setting)
    return change


def channels_last_costs_us(timed: TimedGraph) -> float:
    """What PyTorch's own kernels lose in channels_last, where no run tells their times."""
    lost_us = 0.0
    for layer, time_us in zip(timed.graph.layers, timed.times_us, strict=True):
        factor, slow_us = _factor(layer), _slow_us(layer)
        lost_us += time_us * (factor - 1.0) if factor is not None else 0.0
        lost_us += max(0.0, slow_us - max(time_us, _FAST_POOL_US)) if slow_us is not None else 0.0
    return lost_us


def _by_rows(run: Recorded, launches: tuple[int, ...], before: Timing, after: Timing) -> Change:
    """A convolution with other kernels: as many of its launches as ``after`` has kernels stay."""
    time_us = run.time_us(launches) * (after.median_us or 0.0) / (before.median_us or 1.0)
    by_time = sorted(launches, key=lambda launch: -run.step.launches[launch].duration_us)
    kept, gone = by_time[: max(1, len(after.kernels))], by_time[max(1, len(after.kernels)) :]
    change = run.without(gone)
    scale = time_us / (run.time_us(kept) or 1.0)
    return replace(change, gpu_us={launch: run.step.launches[launch].duration_us * scale for launch in kept})


def _by_layout(run: Recorded, layer: Layer, launches: tuple[int, ...], setting: Setting) -> Change:
    """A layer that PyTorch runs by its own kernel, which another layout makes slower or faster."""
    to_nhwc = setting.layout == Layout.NHWC
    main = max(launches, key=lambda launch: run.step.launches[launch].duration_us)
    time_us = run.step.launches[main].duration_us
    factor = _factor(layer)
    if factor is not None:
        return Change(gpu_us={main: time_us * factor if to_nhwc else time_us / factor})
    slow_us = _slow_us(layer)
    if slow_us is None:
        return Change()
    return Change(gpu_us={main: max(time_us, slow_us) if to_nhwc else min(time_us, _FAST_POOL_US)})


#: What the same pooling takes in NCHW, in us: most take 2 to 5.
_FAST_POOL_US = 4.0


def _factor(layer: Layer) -> float | None:
    work = layer.work
    if isinstance(work, Normalization) and work.function == "batch" and not work.group_elements:
        return NHWC_BATCH_NORM
    if isinstance(work, Movement) and work.function == "concat" and len(layer.outputs[0].shape) == 4:
        return NHWC_CONCAT
    return None


def _slow_us(layer: Layer) -> float | None:
    """What a pooling layer takes in NHWC; ``None`` for what is no pooling over space."""
    work = layer.work
    if isinstance(work, Pooling):
        if work.function == "max":
            return NHWC_MAX_POOL_US + work.flops / NHWC_MAX_POOL_RATE
        return NHWC_AVERAGE_US
    if layer.kind is LayerKind.REDUCTION and len(layer.inputs[0].shape) == 4:
        return NHWC_AVERAGE_US
    return None
