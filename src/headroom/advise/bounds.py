"""Lower bounds of a model's latency, from the times of its layers."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.advise.analysis import Bounds, ScheduledLayer
from headroom.advise.fusion import floors_with_fusion, fused_groups
from headroom.advise.timed import TimedGraph
from headroom.graph.work import Unknown
from headroom.predict.roofline import graph_floor

#: GPUs of one architecture whose L2 was measured differ by up to this much in bytes per clock and SM.
DERIVED_L2_ERROR_PCT = 25.0


def lower_bounds(timed: TimedGraph) -> Bounds:
    """Sequential, parallel, fused and speed-of-light bounds, each with its error bar.

    Unknown layers add nothing to any of them: a bound stays a lower bound, and its unknown share says so.
    """
    graph = timed.graph
    light_us, light_error_pct = speed_of_light(timed)
    critical_us, path = graph.critical_path(timed.times_us)
    groups = fused_groups(timed)
    fused_us = None if not groups else timed.sequential_us - sum(group.saves_us for group in groups)
    everything = timed.error_pct(range(len(graph.layers)))
    unknown = sum(isinstance(layer.work, Unknown) for layer in graph.working_layers)
    return Bounds(
        sequential_us=timed.sequential_us,
        sequential_error_pct=everything,
        # A path through single layers can be shorter than the whole model's floor; no schedule can.
        parallel_us=max(critical_us, light_us),
        parallel_error_pct=timed.error_pct(path),
        fused_us=fused_us,
        fused_error_pct=None if fused_us is None else everything,
        speed_of_light_us=light_us,
        speed_of_light_error_pct=light_error_pct,
        unknown_share=unknown / len(graph.working_layers) if graph.working_layers else 0.0,
        unknown_macs_share=1.0 - graph.coverage.known_macs_share,
    )


def speed_of_light(timed: TimedGraph) -> tuple[float, float]:
    """The model's roofline floor in microseconds, and its error bar in percent.

    The largest of: all arithmetic over the peak rates, the bytes that must cross DRAM over its bandwidth, and the
    critical path of the layers' own floors, a fusible chain counted as one layer. It is never above the sum of those
    floors, which is what the layers need one after another in the stated cache state: with a warm L2 every layer
    finds what fits of its weights there, however many weights the model has. Published peaks are exact by definition;
    an L2 bandwidth that is derived is not, and only the layers' floors depend on it.
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
    stream_of: dict[int, int] = {}
    free_at: list[float] = []
    schedule = []
    for index, before in enumerate(graph.predecessors):
        start = max((finish[i] for i in before), default=0.0)
        finish.append(start + timed.times_us[index])
        if index not in timed.configuration_of:
            if before:  # a view stays on its producer's stream
                stream_of[index] = stream_of.get(max(before, key=finish.__getitem__), 0)
            continue
        stream = _stream(start, before, finish, stream_of, free_at)
        stream_of[index] = stream
        free_at[stream] = finish[index]
        schedule.append(
            ScheduledLayer(
                name=graph.layers[index].name,
                answer=timed.configuration_of[index],
                stream=stream,
                start_us=start,
                duration_us=timed.times_us[index],
                critical=index in critical,
            )
        )
    return tuple(schedule)


def _stream(
    start: float,
    before: Sequence[int],
    finish: Sequence[float],
    stream_of: dict[int, int],
    free_at: list[float],
) -> int:
    wanted = [stream_of[i] for i in sorted(before, key=finish.__getitem__, reverse=True) if i in stream_of]
    candidates: list[int] = [*wanted, *range(len(free_at))]
    for stream in candidates:
        if stream < len(free_at) and free_at[stream] <= start:
            return stream
    free_at.append(0.0)
    return len(free_at) - 1
