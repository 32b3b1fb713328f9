"""How much is known: of each system, and of one system by data type and state of the L2 cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, or_, select

from headroom.graph.tensor import DataType
from headroom.store.codec import to_dtype, to_status, to_system
from headroom.store.rows import METHOD, Status, System
from headroom.store.tables import networks, systems, timings


@dataclass(frozen=True, slots=True)
class SystemSummary:
    """A system and how much is known of it.

    ``layers`` counts the chains with a time that bounds can be made of, in any data type; ``last_measured`` is UTC,
    ISO 8601, empty where nothing was.
    """

    system: System
    layers: int
    rows: int
    last_measured: str


@dataclass(frozen=True, slots=True)
class Holding:
    """What is known of a system in one data type and state of the L2 cache; ``statuses`` counts rows by status."""

    dtype: DataType
    l2: str
    layers: int
    statuses: Mapping[Status, int]

    @property
    def rows(self) -> int:
        return sum(self.statuses.values())


def select_systems(connection: Connection) -> tuple[SystemSummary, ...]:
    """Every system with a row of the present method, the last measured first."""
    known = case((timings.c.status == str(Status.OK), timings.c.chains_key))
    layers = (
        select(
            timings.c.systems_key.label("key"),
            func.count(known.distinct()).label("layers"),
            func.count().label("rows"),
            func.max(timings.c.measured_at).label("last"),
        )
        .where(timings.c.method == METHOD)
        .group_by(timings.c.systems_key)
        .subquery()
    )
    runs = (
        select(networks.c.systems_key.label("key"), func.max(networks.c.measured_at).label("last"))
        .where(networks.c.method == METHOD)
        .group_by(networks.c.systems_key)
        .subquery()
    )
    query = (
        select(systems, layers.c.layers, layers.c.rows, layers.c.last, runs.c.last.label("network_last"))
        .outerjoin(layers, layers.c.key == systems.c.key)
        .outerjoin(runs, runs.c.key == systems.c.key)
        .where(or_(layers.c.key.is_not(None), runs.c.key.is_not(None)))
    )
    summaries = [
        SystemSummary(
            to_system(row), row["layers"] or 0, row["rows"] or 0, max(row["last"] or "", row["network_last"] or "")
        )
        for row in connection.execute(query).mappings()
    ]
    return tuple(sorted(summaries, key=lambda summary: (summary.last_measured, summary.layers), reverse=True))


def select_holdings(connection: Connection, system: System) -> tuple[Holding, ...]:
    """How much is known of ``system``, by data type and state of the L2 cache."""
    table = timings.c
    query = (
        select(table.dtype, table.l2, table.status, func.count(), func.count(table.chains_key.distinct()))
        .join(systems)
        .where(systems.c.id == system.id, table.method == METHOD)
        .group_by(table.dtype, table.l2, table.status)
    )
    counts: dict[tuple[DataType, str], dict[Status, tuple[int, int]]] = {}
    for dtype, l2, status, rows, layers in connection.execute(query):
        counts.setdefault((to_dtype(dtype), l2), {})[to_status(status)] = (rows, layers)
    order = list(DataType)
    return tuple(
        Holding(dtype, l2, found.get(Status.OK, (0, 0))[1], {status: rows for status, (rows, _) in found.items()})
        for (dtype, l2), found in sorted(counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
    )
