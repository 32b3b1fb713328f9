"""Lower bounds of a model's latency, from the times of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from headroom.advise.analysis import Bounds, ScheduledLayer
from headroom.advise.fusion import floors_with_fusion, fused_groups
from headroom.advise.timed import TimedGraph, once_per_graph
from headroom.predict.prediction import Source
from headroom.predict.roofline import graph_floor

#: GPUs of one architecture whose L2 was measured differ by up to this much in bytes per clock and SM.
DERIVED_L2_ERROR_PCT = 33.0


@once_per_graph
def lower_bounds(timed: TimedGraph) -> Bounds:
    """Sequential, parallel, fused and speed-of-light bounds, each with its error bar.

    Unknown layers add nothing to any of them: a bound stays a lower bound, and its unknown share says so.
    """
    graph = timed.graph
    light_us, light_error_pct = speed_of_light(timed)
    critical_us, path = graph.critical_path(timed.times_us)
    fused = _fused(timed)
    if fused is not None:
        # What was measured in less time than the theory's floor proves that the floor was none.
        light_us = min(light_us, fused.time_us)
    coverage = timed.coverage
    return Bounds(
        sequential_us=timed.sequential_us,
        sequential_error_pct=timed.sum_error_pct(range(len(graph.layers))),
        # A path through single layers can be shorter than the whole model's floor; no schedule can.
        parallel_us=max(critical_us, light_us),
        parallel_error_pct=timed.sum_error_pct(path),
        fused_us=None if fused is None else fused.time_us,
        fused_error_pct=None if fused is None else fused.error_pct,
        speed_of_light_us=light_us,
        speed_of_light_error_pct=light_error_pct,
        unknown_share=1.0 - coverage.known_share,
        unknown_macs_share=1.0 - coverage.known_macs_share,
        fused_measured_share=None if fused is None else fused.measured_share,
    )


@dataclass(frozen=True, slots=True)
class _Fused:
    """The fused bound: its error bar is the mean of its parts', weighted by time, because the theory errs alike on
    all chains that nobody timed as one kernel.
    """

    time_us: float
    error_pct: float
    measured_share: float


def _fused(timed: TimedGraph) -> _Fused | None:
    """Every chain at its cheapest, the other layers alone, and no copy that a neighbour can do without.

    ``None`` where that gains nothing.
    """
    groups = fused_groups(timed)
    copied_us = sum(timed.times_us[layer] for layer in timed.copies)
    if not groups and not copied_us:
        return None
    elsewhere = timed.copies.union(layer for group in groups for layer in group.layers)
    alone = [layer for layer in timed.configuration_of if layer not in elsewhere]
    parts = [part for group in groups for part in group.parts]
    alone_us = sum(timed.times_us[layer] for layer in alone)
    total_us = alone_us + sum(part.time_us for part in parts)
    weighted = alone_us * timed.error_pct(alone) + sum(part.time_us * part.error_pct for part in parts)
    measured_us = sum(timed.times_us[layer] for layer in alone if timed.is_measured([layer]))
    measured_us += sum(part.time_us for part in parts if part.source is Source.MEASURED)
    return _Fused(
        time_us=timed.sequential_us - sum(group.saves_us for group in groups) - copied_us,
        error_pct=weighted / total_us if total_us else 0.0,
        measured_share=measured_us / total_us if total_us else 0.0,
    )


def speed_of_light(timed: TimedGraph) -> tuple[float, float]:
    """The model's roofline floor in microseconds, and its error bar in percent.

    The largest of: all arithmetic over the peak rates, the bytes that must cross DRAM over its bandwidth, and the
    critical path of the layers' own floors, a fusible chain counted as one layer. A layer measured below its floor
    has the measured time as floor, and one without a time is left out. It is never above the sum of those floors,
    which is what the layers need one after another in the stated cache state: with a warm L2 every layer finds what
    fits of its weights there, however many weights the model has. Published peaks are exact by definition; an L2
    bandwidth that is derived is not, and only the layers' floors depend on it.
    """
    floors = floors_with_fusion(timed)
    whole_us = graph_floor(timed.graph, timed.gpu, timed.dtype, timed.l2_state, floors)
    path_us, _ = timed.graph.critical_path(floors)
    light_us = min(whole_us, sum(floors))
    uncertain = (path_us >= light_us or light_us < whole_us) and "l2_bandwidth_gbs" in timed.gpu.derived
    return light_us, DERIVED_L2_ERROR_PCT if uncertain else 0.0


def parallel_schedule(timed: TimedGraph) -> tuple[ScheduledLayer, ...]:
    """The timeline behind the parallel bound: every layer starts when its inputs are there.

    A layer continues the stream of the predecessor that finished last, where that stream is still free, and
    opens another otherwise; streams are reused.
    """
    graph = timed.graph
    _, path = graph.critical_path(timed.times_us)
    critical = frozenset(path)
    finish: list[float] = []
    streams = _Streams()
    schedule = []
    for index, before in enumerate(graph.predecessors):
        latest_first = sorted(before, key=finish.__getitem__, reverse=True)
        start = finish[latest_first[0]] if latest_first else 0.0
        finish.append(start + timed.times_us[index])
        if index not in timed.configuration_of:
            streams.follow(index, latest_first)
            continue
        schedule.append(
            ScheduledLayer(
                name=graph.layers[index].name,
                answer=timed.configuration_of[index],
                stream=streams.place(index, latest_first, start, finish[index]),
                start_us=start,
                duration_us=timed.times_us[index],
                critical=index in critical,
            )
        )
    return tuple(schedule)


class _Streams:
    """Streams of the timeline: which layer runs on which, and when each is free again."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}
        self._free_at: list[float] = []
        #: (free at, stream), soonest first; an entry whose stream has been used since is stale.
        self._idle: list[tuple[float, int]] = []

    def follow(self, view: int, before: Sequence[int]) -> None:
        """A view stays on the stream of what it looks at."""
        if before:
            self._of[view] = self._of.get(before[0], 0)

    def place(self, layer: int, before: Sequence[int], start: float, finish: float) -> int:
        """Put a layer on a predecessor's stream, else on the one free longest, else on a new one."""
        wanted = (self._of[i] for i in before if i in self._of)
        stream = next((s for s in wanted if s < len(self._free_at) and self._free_at[s] <= start), None)
        if stream is None:
            stream = self._longest_idle(start)
        self._free_at[stream] = finish
        heappush(self._idle, (finish, stream))
        self._of[layer] = stream
        return stream

    def _longest_idle(self, start: float) -> int:
        while self._idle and self._idle[0][0] <= start:
            free_at, stream = heappop(self._idle)
            if self._free_at[stream] == free_at:
                return stream
        self._free_at.append(0.0)
        return len(self._free_at) - 1
