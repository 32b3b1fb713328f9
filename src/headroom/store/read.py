"""Reading: rows as records, with few queries whatever their number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, case, func, or_, select

from headroom.graph.tensor import DataType
from headroom.store.codec import to_counters, to_dtype, to_kernel, to_network, to_timing
from headroom.store.intern import CHUNK, chunks
from headroom.store.rows import METHOD, Counters, Kernel, NetworkTiming, Status, System, Timing
from headroom.store.steps import DISTURBED, LIBRARY, NEAR_BEST
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


def select_holds(connection: Connection, system: System) -> bool:
    """Whether the database knows ``system`` at all."""
    return connection.execute(select(systems.c.key).where(systems.c.id == system.id)).first() is not None


def select_known(
    connection: Connection, system: System, digests: Collection[str] | None = None
) -> dict[tuple[str, DataType, str], bool]:
    """Of which chains, in which data type and state of the L2 cache, there are rows, and whether one has a time that
    counts; of all chains where none are named."""
    is_ok = case((timings.c.status == str(Status.OK), 1), else_=0)
    query = (
        select(chains.c.digest, timings.c.dtype, timings.c.l2, func.max(is_ok))
        .select_from(timings)
        .join(chains)
        .join(systems)
        .where(systems.c.id == system.id, timings.c.method == METHOD)
        .group_by(chains.c.digest, timings.c.dtype, timings.c.l2)
    )
    queries = [query] if digests is None else [query.where(chains.c.digest.in_(chunk)) for chunk in chunks(digests)]
    rows = (row for each in queries for row in connection.execute(each))
    return {(digest, to_dtype(dtype), l2): bool(timed) for digest, dtype, l2, timed in rows}


def select_finished(
    connection: Connection,
    system: System,
    dtype: DataType,
    plans: str,
    missing: Collection[str],
    digests: Collection[str] | None = None,
) -> frozenset[str]:
    """Digests of the chains whose sweep of ``plans`` is done; a sweep of all covers any other.

    One is not done that lacked a library, unless that is still among the ``missing`` ones; nor one where a time was
    disturbed that may be the best: a GPU that was throttled cools down.
    """
    visit = ("chains_key", "systems_key", "dtype", "method")
    of_sweep = [timings.c[name] == sweeps.c[name] for name in visit]
    lacking = (
        select(timings.c.key)
        .join(implementations)
        .where(*of_sweep, implementations.c.name == LIBRARY, implementations.c.backend.not_in(missing))
    )
    good = timings.alias("good")
    best_us = (
        select(func.min(good.c.median_us))
        .where(good.c.status == str(Status.OK), *(good.c[name] == timings.c[name] for name in (*visit, "l2")))
        .scalar_subquery()
    )
    promising = or_(best_us.is_(None), timings.c.median_us < NEAR_BEST * best_us)
    disturbed = select(timings.c.key).where(*of_sweep, timings.c.status.in_(map(str, DISTURBED)), promising)
    query = (
        select(chains.c.digest)
        .select_from(sweeps)
        .join(chains)
        .join(systems)
        .where(systems.c.id == system.id, sweeps.c.dtype == str(dtype), sweeps.c.method == METHOD)
        .where(sweeps.c.plans.in_({plans, "all"}), ~lacking.exists(), ~disturbed.exists())
    )
    if digests is not None and len(digests) <= CHUNK:
        query = query.where(chains.c.digest.in_(digests))
    # Of many chains it is quicker to ask for all and to leave out those that nobody asked about.
    finished = frozenset(connection.execute(query).scalars())
    return finished if digests is None else finished.intersection(digests)


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
