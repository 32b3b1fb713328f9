"""Writing a database, or a part of it, as JSON that another one can take in, or as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any, Protocol

from headroom._version import __version__
from headroom.errors import StoreError
from headroom.store.flat import COLUMNS, flat_row
from headroom.store.record import ChainRecord
from headroom.store.rows import NetworkTiming, Status, System, Timing
from headroom.store.steps import LIBRARY
from headroom.store.summaries import SystemSummary
from headroom.text import plain_line

FORMAT = "headroom-measurements"
VERSION = 1

#: The backend whose rows are what a framework does by itself.
FRAMEWORK = "torch"


class Told(Protocol):
    """What is exported: one database, or several read as one."""

    @property
    def name(self) -> str: ...

    def systems(self, gpu: str | None = None) -> tuple[SystemSummary, ...]: ...

    def find_system(self, name: str) -> System: ...

    def records(self, system: System) -> Iterator[ChainRecord]: ...

    def runs(self, system: System) -> Iterator[NetworkTiming]: ...


@dataclass(frozen=True)
class Selection:
    """What to write. ``best`` keeps that many of the fastest timings of each chain, data type and state of the L2
    cache, and of single products the framework's own choice, which shows what they gain; of a chain that has no time it
    keeps every row, which says why."""

    systems: tuple[System, ...]
    best: int | None = None

    def of(self, record: ChainRecord) -> ChainRecord:
        """``record`` without the timings that are not wanted. Why a chain has no time at all, or was measured without
        a library, is always wanted: nothing else tells that from a chain that nobody visited."""
        timed = [timing for timing in record.timings if timing.status is Status.OK]
        if self.best is None or not timed:
            return record
        fast: set[Timing] = set()
        for l2 in {timing.l2 for timing in timed}:
            ranked = sorted((timing for timing in timed if timing.l2 == l2), key=lambda timing: timing.median_us or 0.0)
            fast.update(ranked[: self.best])
        chooses = record.chain.anchor.kind.computes_gemm and not record.chain.is_fused
        kept = (
            timing
            for timing in record.timings
            if timing in fast
            or timing.implementation.name == LIBRARY
            or (chooses and timing.implementation.backend == FRAMEWORK)
        )
        return replace(record, timings=tuple(kept))


def select(store: Told, gpu: str | None = None, system: str | None = None, best: int | None = None) -> Selection:
    """The part of ``store`` that options name: one system by its id, or all those with a GPU, or all.

    Raises:
        StoreError: there is no such system, or none with such a GPU.
    """
    if system is not None:
        return Selection((store.find_system(system),), best)
    chosen = sorted((summary.system for summary in store.systems(gpu)), key=lambda chosen: chosen.id)
    if gpu is not None and not chosen:
        raise StoreError(
            f"the database {store.name} has no rows of GPU '{plain_line(gpu, 40)}': headroom db list shows what it has"
        )
    return Selection(tuple(chosen), best)


def to_json(store: Told, selection: Selection) -> Iterator[str]:
    """The selection as one JSON object, in pieces: a line per chain, so that versions can be compared."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "headroom_version": __version__,
        "systems": {system.id: asdict(system) for system in selection.systems},
    }
    yield json.dumps(head, indent=1)[:-2]
    chosen = selection.systems
    yield from _array(
        "measurements", (_record(selection.of(record)) for system in chosen for record in store.records(system))
    )
    yield from _array("networks", (_network(system, run) for system in chosen for run in store.runs(system)))
    yield "\n}\n"


def to_csv(store: Told, selection: Selection) -> Iterator[str]:
    """One line per timing, after a line with the names of the columns."""
    yield _csv_line({column: column for column in COLUMNS})
    for record in (selection.of(record) for system in selection.systems for record in store.records(system)):
        for timing in record.timings:
            yield _csv_line(flat_row(record, timing))


def _array(name: str, items: Iterator[Any]) -> Iterator[str]:
    yield f',\n "{name}": ['
    separator = "\n  "
    for item in items:
        yield separator + json.dumps(item, separators=(",", ":"), allow_nan=False)
        separator = ",\n  "
    yield "\n ]"


def _record(record: ChainRecord) -> dict[str, Any]:
    return {
        "system": record.system.id,
        "chain": {"digest": record.chain.digest, "title": record.chain.title, "layers": record.chain.to_json()},
        "dtype": str(record.dtype),
        "method": record.method,
        "visits": dict(record.visits),
        "timings": [_sparse(timing) for timing in record.timings],
        "counters": [_sparse(counted) for counted in record.counters],
    }


def _network(system: System, network: NetworkTiming) -> dict[str, Any]:
    # The method is part of the key: it is told even where it is the present one.
    return {"system": system.id, **_sparse(network), "method": network.method}


def _sparse(record: Any) -> dict[str, Any]:
    """The fields of a record that differ from their defaults; records inside it are objects too."""
    told = asdict(record)
    return {
        field.name: told[field.name]
        for field in fields(record)
        if field.default is MISSING or getattr(record, field.name) != field.default
    }


def _csv_line(row: dict[str, Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(row[column] for column in COLUMNS)
    return line.getvalue()
