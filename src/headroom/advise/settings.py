"""A recorded run under another setting of PyTorch's: what each layer then takes, from the rows of PyTorch's choices.

A layer's new time is its recorded one times the ratio of the two settings' rows, so that what a run differs from the
stopwatch in stays. Layers whose kernels PyTorch writes itself have no rows per layout; how much longer those take in
channels_last stands in :mod:`headroom.advise.channels_last`.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from headroom.advise.channels_last import CONVERSION_US, FAST_POOL_US, converts, in_layout_us, slow_pool_us
from headroom.advise.choices import Choices, Setting
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Pooling
from headroom.store.rows import Timing


class Layout(StrEnum):
    """The order of values in memory of a run's activations."""

    NCHW = "nchw"
    NHWC = "nhwc"


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


def changed_to(run: Recorded, choices: Choices, setting: Setting) -> Change:
    """The run under ``setting``."""
    graph = run.case.timed.graph
    now = Setting(layout_of(run, choices))
    # What PyTorch copies before it calls a library stays whatever the library then picks.
    stays = frozenset(run.extras("copy")) if setting.layout == now.layout else frozenset()
    change = Change()
    for layer in range(len(graph.layers)):
        launches = tuple(launch for launch in run.launches_of(layer, alone=True) if launch not in stays)
        if not launches:
            continue
        if graph.layers[layer].kind is LayerKind.CONVOLUTION:
            before, after = choices.torch(layer, now), choices.torch(layer, setting)
            if before is not None and after is not None and before is not after:
                change |= _by_rows(run, launches, before, after)
            elif setting.layout != now.layout and (before is None or after is None):
                change |= run.without(set(launches) & set(run.extras("transpose")))
            if setting.layout == Layout.NHWC != now.layout and converts(graph, layer):
                change |= Change(added={main_launch(run, launches): CONVERSION_US})
        elif setting.layout != now.layout:
            change |= _by_layout(run, graph.layers[layer], launches, setting)
    return change


def nhwc_costs_us(run: Recorded) -> tuple[float, float]:
    """What PyTorch's own kernels of a run in NCHW lose in channels_last, and pooling's part of it."""
    lost_us = pooling_us = 0.0
    for index, layer in enumerate(run.case.timed.graph.layers):
        launches = run.launches_of(index, alone=True) if layer.kind is not LayerKind.CONVOLUTION else ()
        longer = _by_layout(run, layer, launches, Setting(str(Layout.NHWC))).gpu_us if launches else {}
        more_us = sum(time_us - run.step.launches[launch].duration_us for launch, time_us in longer.items())
        lost_us += more_us
        pooling_us += more_us if slow_pool_us(layer) is not None else 0.0
    return lost_us, pooling_us


def _by_rows(run: Recorded, launches: tuple[int, ...], before: Timing, after: Timing) -> Change:
    """A convolution with other kernels: as many of its launches as ``after`` has kernels stay."""
    time_us = run.time_us(launches) * (after.median_us or 0.0) / (before.median_us or 1.0)
    by_time = sorted(launches, key=lambda launch: -run.step.launches[launch].duration_us)
    kept, gone = by_time[: max(1, len(after.kernels))], by_time[max(1, len(after.kernels)) :]
    change = run.without(gone)
    scale = time_us / (run.time_us(kept) or 1.0)
    return replace(change, gpu_us={launch: run.step.launches[launch].duration_us * scale for launch in kept})


def main_launch(run: Recorded, launches: tuple[int, ...]) -> int:
    """The launch that does a layer's work: a small BatchNorm's helpers may take longer than its own kernel."""
    own = [launch for launch in launches if "batch_norm" in run.step.launches[launch].name]
    return max(own or launches, key=lambda launch: run.step.launches[launch].duration_us)


def _by_layout(run: Recorded, layer: Layer, launches: tuple[int, ...], setting: Setting) -> Change:
    """A layer that PyTorch runs by its own kernel, which another layout makes slower or faster."""
    to_nhwc = setting.layout == Layout.NHWC
    main = main_launch(run, launches)
    time_us = run.step.launches[main].duration_us
    value_bytes = run.case.timed.dtype.bytes
    other_us, slow_us = in_layout_us(layer, time_us, value_bytes, nhwc=to_nhwc), slow_pool_us(layer)
    if other_us is not None:
        return Change(gpu_us={main: other_us})
    if slow_us is not None:
        # Averages of many images are faster in NHWC; a maximum never is.
        in_nhwc_us = slow_us if not _takes_maximum(layer) else max(time_us, slow_us)
        return Change(gpu_us={main: in_nhwc_us if to_nhwc else min(time_us, FAST_POOL_US)})
    return Change()


def _takes_maximum(layer: Layer) -> bool:
    return isinstance(layer.work, Pooling) and layer.work.function == "max"
