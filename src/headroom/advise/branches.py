"""Regions of a model with data-independent layers, and what running them together would give.

The critical path alone promises too much: two layers that each fill the GPU gain nothing from running side by
side. A region's joint time is therefore the larger of its critical path and the sum of the GPU that its layers
use.
"""

from __future__ import annotations

from dataclasses import dataclass

from headroom.advise.timed import TimedGraph
from headroom.predict.prediction import Prediction


@dataclass(frozen=True)
class Region:
    """Layers (indices, in order) between two points that every path of the model passes through."""

    layers: tuple[int, ...]
    sequential_us: float
    critical_us: float
    joint_us: float
    branches: int

    @property
    def saves_us(self) -> float:
        return self.sequential_us - self.joint_us


def parallel_regions(timed: TimedGraph) -> tuple[Region, ...]:
    """Every region whose layers could overlap, with its predicted joint time."""
    regions = []
    for start, stop in _between_cuts(timed):
        members = tuple(i for i in range(start, stop) if timed.times_us[i] > 0)
        if len(members) < 2:
            continue
        critical_us, width = _critical(timed, start, stop)
        sequential_us = sum(timed.times_us[i] for i in members)
        used_us = sum(timed.times_us[i] * _share_of_gpu(timed, i) for i in members)
        # Each further branch waits for an event and signals one: one launch each.
        joint_us = max(critical_us, used_us) + (width - 1) * timed.gpu.launch_us
        if width > 1:
            regions.append(Region(members, sequential_us, critical_us, min(joint_us, sequential_us), width))
    return tuple(regions)


def _between_cuts(timed: TimedGraph) -> list[tuple[int, int]]:
    """Half-open index ranges between the layers that no edge jumps over."""
    reach = [0] * (len(timed.graph.layers) + 1)
    for index, before in enumerate(timed.graph.predecessors):
        for earlier in before:
            reach[earlier] = max(reach[earlier], index)
    ranges, start, furthest = [], 0, 0
    for index in range(len(timed.graph.layers)):
        if furthest <= index and timed.graph.predecessors[index] and index > start:
            # Everything before meets here: the layer itself closes the region and opens the next.
            ranges.append((start, index))
            start = index
        furthest = max(furthest, reach[index])
    ranges.append((start, len(timed.graph.layers)))
    return ranges


def _critical(timed: TimedGraph, start: int, stop: int) -> tuple[float, int]:
    """Critical path of a range and the most layers that run at once when each starts as early as it can."""
    finish: dict[int, float] = {}
    events: list[tuple[float, int]] = []
    for index in range(start, stop):
        begin = max((finish[i] for i in timed.graph.predecessors[index] if i >= start), default=0.0)
        finish[index] = begin + timed.times_us[index]
        if timed.times_us[index] > 0:
            # An ending sorts before a beginning at the same moment: a chain has width 1.
            events += [(begin, 1), (finish[index], -1)]
    width = running = 0
    for _, step in sorted(events):
        running += step
        width = max(width, running)
    return max(finish.values(), default=0.0), width


def _share_of_gpu(timed: TimedGraph, layer: int) -> float:
    """Share of the GPU that a layer keeps from others while it runs: of its SMs or of its DRAM bandwidth."""
    prediction = timed.prediction(layer)
    if prediction is None or not prediction.time_us:
        return 0.0
    return min(1.0, max(_sm_share(prediction), _dram_share(prediction, timed)))


def _sm_share(prediction: Prediction) -> float:
    if prediction.tail_utilization is None:
        return 1.0  # nothing known of its grid: promise nothing
    return prediction.tail_utilization


def _dram_share(prediction: Prediction, timed: TimedGraph) -> float:
    transfer_us = prediction.dram_bytes / timed.gpu.dram.bandwidth_gbs * 1e-3
    return transfer_us / (prediction.time_us or transfer_us or 1.0)


def structure(timed: TimedGraph, region: Region) -> tuple[object, ...]:
    """Equal for two regions of the same shape: as many branches, of the same kinds of layer in the same order."""
    return (region.branches, *(timed.graph.layers[index].kind for index in region.layers))
