"""Every width of many staircases: everything is tried at a few widths, and between them what was fast at those.

A library lists some ninety plans for a convolution, and its best changes with the width; but whichever is best at one
width is rarely far behind at the few that all plans were tried at. On widths of an H200 where all plans were measured,
the best of those near the best at one of :func:`anchors_of` costs 0.04 % more than the best of all in the mean, from a
fifth of the implementations (``benchmarks/likely_plans.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from headroom.change.widths.staircase.points import predicted_points
from headroom.change.widths.staircase.study import Subject
from headroom.change.widths.staircase.table import layers_at
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.measure.known import Records
from headroom.measure.plan import Planned, type_of
from headroom.measure.task import Task
from headroom.store.rows import Implementation, Status, System, Timing

#: An implementation within this factor of the best at any anchor is tried between them.
LIKELY = 1.3

#: A staircase has about so many stretches between anchors, each a power of two wide: tiles are.
_STRETCHES = 3

#: No stretch is narrower than a tile.
_NARROWEST = 32

#: Staircases whose anchors are measured ahead: by the time that the widths between them are begun, they are known.
_AHEAD = 2


@dataclass(frozen=True)
class Sweep:
    """The staircase of a layer: a task per width, and those of them that everything is tried for. ``cost_us`` is the
    sum of its predicted times."""

    tasks: tuple[Task, ...]
    anchors: tuple[Task, ...]
    cost_us: float

    @classmethod
    def of(cls, subject: Subject, in_width: int, gpu: GpuSpec, dtype: DataType) -> Sweep:
        layers = layers_at(subject.layer, subject.out_widths, in_width)
        kept = set(anchors_of([width for width, _ in layers]))
        tasks = {
            width: Task(Chain.of([layer]), type_of([layer], dtype), "all" if width in kept else "likely")
            for width, layer in layers
        }
        cost_us = sum(point.latency_us for point in predicted_points(layers, gpu, dtype))
        return cls(tuple(tasks.values()), tuple(tasks[width] for width in sorted(kept)), cost_us)


def anchors_of(widths: Sequence[int]) -> tuple[int, ...]:
    """The widths that everything is tried at: both ends, and multiples of a power of two between them.

    >>> anchors_of(range(64, 513, 8))
    (64, 128, 256, 384, 512)
    """
    first, last = min(widths), max(widths)
    stretch = max(_NARROWEST, 1 << max(0, ((last - first) // _STRETCHES).bit_length() - 1))
    return tuple(width for width in sorted(widths) if width in (first, last) or width % stretch == 0)


def in_order(sweeps: Iterable[Sweep]) -> list[Planned]:
    """The tasks of many staircases: the cheapest staircase first, so that as many as possible are whole when time is
    up; the anchors of the next ones come before the widths between those of this one."""
    cheapest_first = sorted(sweeps, key=lambda sweep: sweep.cost_us)
    between = (tuple(task for task in sweep.tasks if task.plans != "all") for sweep in cheapest_first)
    late = [*[()] * _AHEAD, *between]
    found: dict[tuple[str, DataType], Task] = {}
    for anchors, others in zip_longest((sweep.anchors for sweep in cheapest_first), late, fillvalue=()):
        for task in (*anchors, *others):
            # A width that two staircases share is tried in full where either asks for it.
            key = task.chain.digest, task.dtype
            if key not in found or task.plans == "all":
                found[key] = task
    return [Planned(task, 1, 0.0) for task in found.values()]


@dataclass(frozen=True)
class Narrowing:
    """Which plans are likely for a width, by what ``records`` have of the anchors of its staircase by then."""

    anchors: dict[tuple[str, DataType], tuple[Task, ...]]
    records: Records
    system: System

    @classmethod
    def of(cls, sweeps: Iterable[Sweep], records: Records, system: System) -> Narrowing:
        anchors = {(task.chain.digest, task.dtype): sweep.anchors for sweep in sweeps for task in sweep.tasks}
        return cls(anchors, records, system)

    def __call__(self, task: Task) -> Task:
        """The task as it is to be measured: with all plans where most of its anchors are not known yet, or have no
        time."""
        if task.plans != "likely":
            return task
        anchors = self.anchors[task.chain.digest, task.dtype]
        rows = (self.records.timings(anchor.chain.digest, self.system, anchor.dtype) for anchor in anchors)
        likely = [found for each in rows if (found := frozenset(fast(each)))]
        if 2 * len(likely) < len(anchors):
            return replace(task, plans="all")
        return replace(task, only=tuple(sorted(frozenset().union(*likely), key=_name)))


def fast(rows: Sequence[Timing], factor: float = LIKELY, l2: str = "warm") -> Iterator[Implementation]:
    """The implementations whose time is within ``factor`` of the shortest; one that was throttled may be among them."""
    times = {row.implementation: row.median_us for row in rows if row.l2 == l2 and row.median_us is not None}
    sound = [row.median_us for row in rows if row.l2 == l2 and row.status is Status.OK and row.median_us is not None]
    shortest = min(sound, default=0.0)
    return (implementation for implementation, time_us in times.items() if time_us <= factor * shortest)


def _name(implementation: Implementation) -> tuple[str, str, str, str]:
    return implementation.backend, implementation.name, implementation.layout, implementation.math
