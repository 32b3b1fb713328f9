"""Reading: rows as records, with few queries whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, case, func, or_, select

from headroom.graph.tensor import DataType
from headroom.store.codec import to_counters, to_dtype, to_kernel, to_network, to_status, to_system, to_timing
from headroom.store.intern import chunks
from headroom.store.rows import METHOD, Counters, Kernel, NetworkTiming, Status, System, Timing
from headroom.store.tables import (
    chains,
    counters,
    implementations,
    kernels,
    launches,
    networks,
    notes,
    sweeps,
    systems,
    timings,
)


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


def timings_query() -> Select[Any]:
    """Timings joined with what they refer to; :func:`to_timings` makes records of its rows."""
    reason, uuid = notes.alias("reason"), notes.alias("uuid")
    return (
        select(
            timings,
            *(implementations.c[name] for name in ("backend", "name", "layout", "math")),
            reason.c.text.label("reason"),
            uuid.c.text.label("gpu_uuid"),
        )
        .join(implementations)
        .join(reason, reason.c.key == timings.c.reason_key)
        .join(uuid, uuid.c.key == timings.c.gpu_uuid_key)
    )


def counters_query() -> Select[Any]:
    """Counters joined with their implementations."""
    names = ("backend", "name", "layout", "math")
    return select(counters, *(implementations.c[name] for name in names)).join(implementations)


def to_timings(connection: Connection, rows: Sequence[RowMapping]) -> list[Timing]:
    """Records of ``rows`` of :func:`timings_query`, in their order, with their kernels."""
    launched = _launched(connection, [row["key"] for row in rows if row["status"] != Status.UNSUPPORTED])
    return [to_timing(row, tuple(launched.get(row["key"], ()))) for row in rows]


def select_timings(
    connection: Connection, digest: str, system: System, dtype: DataType, l2: str | None
) -> tuple[Timing, ...]:
    """Every timing of one chain, fastest first, those without a time last."""
    query = timings_query().join(chains).join(systems).where(chains.c.digest == digest, *_of(system, dtype))
    if l2 is not None:
        query = query.where(timings.c.l2 == l2)
    query = query.order_by(case((timings.c.median_us.is_(None), 1), else_=0), timings.c.median_us, timings.c.key)
    return tuple(to_timings(connection, connection.execute(query).mappings().all()))


def select_best(
    connection: Connection, system: System, dtype: DataType, l2: str, digests: Iterable[str]
) -> dict[str, Timing]:
    """The fastest timing with status ``ok`` of each chain that has one, by digest."""
    best: dict[str, Timing] = {}
    for chunk in chunks(dict.fromkeys(digests)):
        place = func.row_number().over(partition_by=timings.c.chains_key, order_by=(timings.c.median_us, timings.c.key))
        ranked = (
            select(timings.c.key, chains.c.digest, place.label("place"))
            .join(chains)
            .join(systems)
            .where(chains.c.digest.in_(chunk), timings.c.l2 == l2, timings.c.status == str(Status.OK))
            .where(timings.c.median_us.is_not(None), *_of(system, dtype))
            .subquery()
        )
        query = timings_query().join(ranked, ranked.c.key == timings.c.key).where(ranked.c.place == 1)
        rows = connection.execute(query.add_columns(ranked.c.digest)).mappings().all()
        best |= {row["digest"]: timing for row, timing in zip(rows, to_timings(connection, rows), strict=True)}
    return best


def select_finished(connection: Connection, system: System, dtype: DataType, plans: str) -> frozenset[str]:
    """Digests of the chains whose sweep of ``plans`` is done; a sweep of all covers one of heuristics."""
    query = (
        select(chains.c.digest)
        .select_from(sweeps)
        .join(chains)
        .join(systems)
        .where(systems.c.id == system.id, sweeps.c.dtype == str(dtype), sweeps.c.method == METHOD)
        .where(sweeps.c.plans.in_({plans, "all"}))
    )
    return frozenset(connection.execute(query).scalars())


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


def select_networks(connection: Connection, system: System, graph: str | None) -> tuple[NetworkTiming, ...]:
    query = select(networks).join(systems).where(systems.c.id == system.id, networks.c.method == METHOD)
    if graph is not None:
        query = query.where(networks.c.graph == graph)
    order = (networks.c.model, networks.c.batch, networks.c.dtype, networks.c.mode)
    return tuple(to_network(row) for row in connection.execute(query.order_by(*order)).mappings())


def select_counters(connection: Connection, system: System, digest: str, dtype: DataType) -> tuple[Counters, ...]:
    query = (
        counters_query()
        .join(chains)
        .join(systems)
        .where(chains.c.digest == digest, systems.c.id == system.id)
        .where(counters.c.dtype == str(dtype), counters.c.method == METHOD)
        .order_by(counters.c.key)
    )
    return tuple(to_counters(row) for row in connection.execute(query).mappings())


def _of(system: System, dtype: DataType) -> tuple[ColumnElement[bool], ...]:
    return systems.c.id == system.id, timings.c.dtype == str(dtype), timings.c.method == METHOD


def _launched(connection: Connection, keys: Iterable[int]) -> dict[int, list[Kernel]]:
    """The kernels that each timing launches, in order."""
    launched: dict[int, list[Kernel]] = {}
    for chunk in chunks(keys):
        query = (
            select(launches, kernels.c.name, kernels.c.shape)
            .join(kernels)
            .where(launches.c.timings_key.in_(chunk))
            .order_by(launches.c.timings_key, launches.c.position)
        )
        for row in connection.execute(query).mappings():
            launched.setdefault(row["timings_key"], []).append(to_kernel(row))
    return launched
