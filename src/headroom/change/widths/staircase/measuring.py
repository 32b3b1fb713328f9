"""Measuring a staircase on this machine's GPU where it is worth it; each width is in the database once it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from headroom.advise.stored import StoredMeasurements
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.layers import is_tied, widths_of
from headroom.change.widths.staircase.points import measured_points
from headroom.change.widths.staircase.search import BUDGET_SHARE, Found, Search, searching
from headroom.change.widths.staircase.study import Subject
from headroom.change.widths.staircase.table import layers_at, width_table
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.busy import Guard
from headroom.measure.crew import Crew, default_size
from headroom.measure.driver import driver_of
from headroom.measure.plan import Planned
from headroom.measure.sweep import measure_tasks
from headroom.measure.task import Task
from headroom.store.notebook import Notebook
from headroom.store.rows import System


class Watch(Protocol):
    """What measures widths: a stopwatch on one GPU, or on many (:mod:`headroom.change.widths.staircase.fleet`)."""

    @property
    def gpu(self) -> GpuSpec:
        """The sheet whose theory the points are laid over."""

    @property
    def dtype(self) -> DataType: ...

    @property
    def l2(self) -> str: ...

    def points(self, layers: Sequence[tuple[int, Layer]]) -> list[Point | None]:
        """The fastest implementation of each (width, layer); ``None`` where it has no time that counts."""


@dataclass(frozen=True)
class Stopwatch:
    """The workers of a GPU, and the database that their rows go to.

    ``gpu`` is the sheet whose theory the points are laid over; ``others`` tells who else uses the GPU, which its rows
    then say.
    """

    crew: Crew
    records: Notebook
    gpu: GpuSpec
    dtype: DataType
    l2: str = "warm"
    others: Callable[[], str] = lambda: ""

    @property
    def system(self) -> System:
        """What the rows are measured on."""
        return self.crew.facts().system

    def points(self, layers: Sequence[tuple[int, Layer]]) -> list[Point | None]:
        """The fastest implementation of each layer, all of them tried unless the database knows them.

        Workers take the layers beside each other, and each is in the database as soon as it is done.

        Returns:
            For each (width, layer) its point, or ``None`` where it has no time that counts; its rows say why.

        Raises:
            GpuError: a worker cannot be started or replaced.
            StoreError: the database cannot be read or written.
        """
        chains = {chain.digest: chain for _, layer in layers for chain in [Chain.of([layer])]}
        planned = [Planned(Task(chain, self.dtype), 1, 0.0) for chain in chains.values()]
        report = measure_tasks(planned, self.records, self.crew, others=self.others)
        return known_points(layers, StoredMeasurements(self.records, report.system), self)


def known_points(
    layers: Sequence[tuple[int, Layer]], measurements: StoredMeasurements, watch: Watch
) -> list[Point | None]:
    """What the database has of each (width, layer) since ``watch`` measured it."""
    return [
        measured_points([(width, layer)], measurements, watch.gpu, watch.dtype, watch.l2).get(width)
        for width, layer in layers
    ]


@contextmanager
def stopwatch(
    records: Notebook, gpu: GpuSpec, dtype: DataType, *, l2: str = "warm", index: int = 0, shared: bool = False
) -> Iterator[Stopwatch]:
    """A stopwatch on GPU ``index`` of this machine; its workers are gone when the block ends.

    Raises:
        GpuError: there is no such GPU, or another program uses it and ``shared`` is not set.
    """
    with driver_of(index) as driver:
        guard = Guard(driver, shared=shared)
        with Crew(index, size=default_size(driver.memory_bytes), admit=guard.admit) as crew:
            yield Stopwatch(crew, records, gpu, dtype, l2, lambda: guard.others(own=crew.started))


def find_staircases(
    subjects: Sequence[Subject],
    watch: Watch,
    *,
    budget_share: float = BUDGET_SHARE,
    on_width: Callable[[int], None] = lambda width: None,
) -> tuple[Found, ...]:
    """Search the staircases of layers, one for each of their input widths.

    All searches go on side by side: what they want to know next is measured together.

    Args:
        budget_share: widths of a staircase that are measured, at most.
        on_width: told each output width before it is measured.
    """
    hunts = [
        _Hunt.begun(subject, in_width, watch, budget_share)
        for subject in subjects
        for in_width in fixed_widths(subject)
    ]
    while wanted := [(hunt, width) for hunt in hunts for width in hunt.wanted]:
        for _, width in wanted:
            on_width(width)
        points = watch.points([(width, hunt.layers[width]) for hunt, width in wanted])
        told = list(zip(wanted, points, strict=True))
        for hunt in hunts:
            hunt.tell({width: point for (its, width), point in told if its is hunt and point is not None})
    return tuple(hunt.found for hunt in hunts if hunt.found is not None)


def fixed_widths(subject: Subject) -> tuple[int, ...]:
    """The input widths that ``subject`` has a staircase for each of; 0 where they move with the output's."""
    layer = subject.layer
    return (0,) if is_tied(layer) else subject.in_widths or (widths_of(layer)[0],)


@dataclass(eq=False)
class _Hunt:
    """One search as it goes on: the widths that it ``wanted`` last, or what it ``found``."""

    layers: dict[int, Layer]
    search: Search
    wanted: tuple[int, ...]
    found: Found | None = None

    @classmethod
    def begun(cls, subject: Subject, in_width: int, watch: Watch, budget_share: float) -> _Hunt:
        layers = dict(layers_at(subject.layer, subject.out_widths, in_width))
        table = width_table(
            subject.layer, watch.gpu, watch.dtype, tuple(layers), (in_width,), l2=watch.l2, source="predicted"
        )
        search = searching(table.staircases[0], budget_share=budget_share)
        return cls(layers, search, next(search))

    def tell(self, points: dict[int, Point]) -> None:
        """The points that were wanted; what is wanted next, or what was found, follows."""
        if self.found is None:
            try:
                self.wanted = self.search.send(points)
            except StopIteration as end:
                self.wanted, self.found = (), end.value
