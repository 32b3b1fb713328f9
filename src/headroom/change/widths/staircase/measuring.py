"""Measuring a staircase on this machine's GPU where it is worth it; each width is in the database once it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.layers import is_tied, widths_of
from headroom.change.widths.staircase.points import measured_points
from headroom.change.widths.staircase.search import BUDGET_SHARE, Found, search
from headroom.change.widths.staircase.study import Subject
from headroom.change.widths.staircase.table import layers_at, width_table
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.busy import Guard
from headroom.measure.client import Worker
from headroom.measure.driver import driver_of
from headroom.measure.sweep import marked
from headroom.measure.task import Task
from headroom.store.notebook import Notebook
from headroom.store.rows import Sweep


class Watch(Protocol):
    """What measures widths: a stopwatch on one GPU, or on many (:mod:`headroom.change.widths.staircase.fleet`)."""

    @property
    def gpu(self) -> GpuSpec:
        """The sheet whose theory the points are laid over."""

    @property
    def dtype(self) -> DataType: ...

    @property
    def l2(self) -> str: ...

    def point(self, width: int, layer: Layer) -> Point | None:
        """The fastest implementation of ``layer``; ``None`` where it has no time that counts."""


@dataclass(frozen=True)
class Stopwatch:
    """A worker on a GPU, and the database that its rows go to.

    ``gpu`` is the sheet whose theory the points are laid over; ``others`` tells who else uses the GPU, which its rows
    then say.
    """

    worker: Worker
    records: Notebook
    gpu: GpuSpec
    dtype: DataType
    l2: str = "warm"
    others: Callable[[], str] = lambda: ""

    def point(self, width: int, layer: Layer) -> Point | None:
        """The fastest implementation of ``layer``, all of them tried unless the database knows them.

        Returns:
            ``None`` where the layer has no time that counts; its rows say why.

        Raises:
            GpuError: the worker cannot be started or replaced.
            StoreError: the database cannot be read or written.
        """
        found = self.worker.facts()
        task = Task(Chain.of([layer]), self.dtype)
        digest = task.chain.digest
        if digest not in self.records.finished(found.system, self.dtype, task.plans, found.missing, {digest}):
            known = self.records.timings(digest, found.system, self.dtype)
            start = time.monotonic()
            rows = marked(self.worker.measure(task, known), self.others())
            seconds = time.monotonic() - start
            self.records.record(Sweep(found.system, task.chain, self.dtype, task.plans, rows, seconds))
        measurements = StoredMeasurements(self.records, found.system)
        return measured_points([(width, layer)], measurements, self.gpu, self.dtype, self.l2).get(width)


@contextmanager
def stopwatch(
    records: Notebook, gpu: GpuSpec, dtype: DataType, *, l2: str = "warm", index: int = 0, shared: bool = False
) -> Iterator[Stopwatch]:
    """A stopwatch on GPU ``index`` of this machine; its worker is gone when the block ends.

    Raises:
        GpuError: there is no such GPU, or another program uses it and ``shared`` is not set.
    """
    with driver_of(index) as driver:
        guard = Guard(driver, shared=shared)
        with Worker(index, admit=guard.admit) as worker:
            yield Stopwatch(worker, records, gpu, dtype, l2, guard.others)


def find_staircases(
    subject: Subject,
    watch: Watch,
    *,
    budget_share: float = BUDGET_SHARE,
    on_width: Callable[[int], None] = lambda width: None,
) -> tuple[Found, ...]:
    """Search the staircase of a layer for each of its input widths, measuring at most ``budget_share`` of the widths.

    Args:
        on_width: told each output width before it is measured.
    """
    return tuple(
        find_staircase(subject, in_width, watch, budget_share=budget_share, on_width=on_width)
        for in_width in fixed_widths(subject)
    )


def fixed_widths(subject: Subject) -> tuple[int, ...]:
    """The input widths that ``subject`` has a staircase for each of; 0 where they move with the output's."""
    layer = subject.layer
    return (0,) if is_tied(layer) else subject.in_widths or (widths_of(layer)[0],)


def find_staircase(
    subject: Subject,
    in_width: int,
    watch: Watch,
    *,
    budget_share: float = BUDGET_SHARE,
    on_width: Callable[[int], None] = lambda width: None,
) -> Found:
    """Search one staircase, as :func:`find_staircases` does."""
    layers = dict(layers_at(subject.layer, subject.out_widths, in_width))
    table = width_table(
        subject.layer, watch.gpu, watch.dtype, tuple(layers), (in_width,), l2=watch.l2, source="predicted"
    )

    def measure(width: int) -> Point | None:
        on_width(width)
        return watch.point(width, layers[width])

    return search(table.staircases[0], measure, budget_share=budget_share)
