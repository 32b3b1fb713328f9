"""Regions of a model with data-independent layers, and what running them together would give.

The critical path alone promises too much: two layers that each fill the GPU gain nothing from running side by
side. A region's joint time is therefore the larger of its critical path and the sum of the GPU that its layers
use, and no shorter than one fork and one join around the branches let it be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headroom.advise.forks import Fork, fork_of
from headroom.advise.timed import TimedGraph
from headroom.predict.prediction import Prediction


@dataclass(frozen=True)
class Region:
    """Layers (indices, in order) between two points that every path of the model passes through."""

    layers: tuple[int, ...]
    sequential_us: float
    critical_us: float
    joint_us: float
    fork: Fork

    @property
    def branches(self) -> int:
        return len(self.fork.branches)

    @property
    def saves_us(self) -> float:
        return self.sequential_us - self.joint_us


def parallel_regions(timed: TimedGraph) -> tuple[Region, ...]:
    """Every region whose layers could overlap, with its predicted joint time.

    A layer that reads only the model's inputs may start with the first one: two towers over two inputs are branches
    of one region. Where such a region gains less as a whole than its own parts do one by one, the parts stand.
    """
    parts = iter(_ranges(timed, wait_for=0))
    regions: list[Region] = []
    for start, stop in _ranges(timed, wait_for=_last_that_may_start(timed)):
        # Both lists end at the same layer, and every cut of this one is one of the other's.
        inside = [_region(timed, *part) for part in _up_to(stop, parts)]
        found = [region for region in inside if region is not None]
        whole = _region(timed, start, stop, waits=sum(region.branches - 1 for region in found))
        if whole is not None and whole.saves_us > sum(region.saves_us for region in found):
            found = [whole]
        regions += found
    return tuple(regions)


def _up_to(stop: int, parts: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The next parts, the one that ends at ``stop`` included."""
    for part in parts:
        yield part
        if part[1] == stop:
            return


def _region(timed: TimedGraph, start: int, stop: int, waits: int = 0) -> Region | None:
    """Layers ``start`` to ``stop`` as a region; ``None`` where no two of them can run at once.

    ``waits`` is the least number of times that one branch has to wait for another.
    """
    members = tuple(i for i in range(start, stop) if timed.times_us[i] > 0)
    if len(members) < 2:
        return None
    critical_us, width = _critical(timed, start, stop)
    if width < 2:
        return None
    sequential_us = sum(timed.times_us[i] for i in members)
    used_us = sum(timed.times_us[i] * share_of_gpu(timed, i) for i in members)
    fork = fork_of(timed.graph, members)
    # Each further branch waits for an event and signals one: one launch each.
    waits = max(len(fork.branches) - 1, waits)
    joint_us = max(_forked_us(timed, fork), used_us) + waits * timed.gpu.launch_us
    return Region(members, sequential_us, critical_us, min(joint_us, sequential_us), fork)


def _forked_us(timed: TimedGraph, fork: Fork) -> float:
    """What a fork takes on a GPU without end: its longest branch, and what stands before and after all branches."""
    longest_us = max(sum(timed.times_us[layer] for layer in branch) for branch in fork.branches)
    return longest_us + sum(timed.times_us[layer] for layer in (*fork.stem, *fork.tail))


def _last_that_may_start(timed: TimedGraph) -> int:
    """Index of the last layer that waits for no other layer's work."""
    ready: list[float] = []
    last = 0
    for index, before in enumerate(timed.graph.predecessors):
        begin = max((ready[i] for i in before), default=0.0)
        ready.append(begin + timed.times_us[index])
        if begin == 0 < timed.times_us[index]:
            last = index
    return last


def _ranges(timed: TimedGraph, wait_for: int) -> list[tuple[int, int]]:
    """Half-open index ranges between the layers that no edge jumps over, the first not before layer ``wait_for``."""
    reach = [0] * (len(timed.graph.layers) + 1)
    for index, before in enumerate(timed.graph.predecessors):
        for earlier in before:
            reach[earlier] = max(reach[earlier], index)
    ranges, start, furthest = [], 0, wait_for
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


def share_of_gpu(timed: TimedGraph, layer: int) -> float:
    """Share of the GPU that a layer keeps from others while it runs: of its SMs or of its DRAM bandwidth.

    With the whole GPU to itself it would still take its floor, so no less than that is kept.
    """
    prediction = timed.prediction(layer)
    if prediction is None or not prediction.time_us:
        return 0.0
    at_least = prediction.floor_us / prediction.time_us
    return min(1.0, max(_sm_share(prediction), _dram_share(prediction, timed), at_least))


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
