"""Writing: everything that is known of one chain goes in as one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select

from headroom.store import steps, tables
from headroom.store.codec import (
    COUNTED,
    implementation_values,
    kernel_values,
    network_values,
    timing_values,
)  # fmt: skip
from headroom.store.intern import chain_key, chunks, intern, note_keys, system_key
from headroom.store.moments import moment
from headroom.store.read import select_timings
from headroom.store.record import ChainRecord, Tally
from headroom.store.rows import Counters, Implementation, NetworkTiming, Status, Sweep, System, Timing

_Visit = Mapping[str, Any]


def put_record(connection: Connection, record: ChainRecord, *, keep_newer: bool = False) -> Tally:
    """Write ``record``; its timings replace rows of the same key, or yield to newer ones where ``keep_newer``.

    Raises:
        StoreError: the database knows another system or chain under the same name; the sentence names the field.
    """
    visit = _visit_of(connection, record)
    tally = _put_timings(connection, visit, record.timings, keep_newer)
    _put_counters(connection, visit, record.counters, keep_known=keep_newer)
    for plans, seconds in record.visits:
        _put_visit(connection, {**visit, "plans": plans, "seconds": seconds}, keep_known=keep_newer)
    return tally


def put_sweep(connection: Connection, sweep: Sweep) -> None:
    """Write a sweep as :func:`put_record`; what earlier ones of the same chain said of steps is no longer so.

    A time that something disturbed does not take the place of one that nothing did.

    Raises:
        StoreError: as there.
    """
    record = replace(ChainRecord.of_sweep(sweep), timings=_better_than_known(connection, sweep))
    visit = _visit_of(connection, record)
    named = select(tables.implementations.c.key).where(tables.implementations.c.name.in_(steps.NAMES))
    _drop(connection, tables.timings, visit, tables.timings.c.implementations_key.in_(named))
    if not record.visits:
        # Until this chain has been taken up again, no earlier visit to it counts as finished either.
        _drop(connection, tables.sweeps, visit)
    put_record(connection, record)


def put_network(connection: Connection, system: System, network: NetworkTiming, *, keep_newer: bool = False) -> Tally:
    """Write a whole network's time, in place of the row of the same key unless that is newer and to be kept."""
    values = {**network_values(network), "systems_key": system_key(connection, system)}
    table = tables.networks
    key = and_(
        *(table.c[name] == values[name] for name in ("systems_key", "graph", "batch", "dtype", "mode", "method"))
    )
    known = connection.execute(select(table.c.measured_at).where(key)).scalar_one_or_none()
    if known is not None and keep_newer and moment(known) >= moment(network.measured_at):
        return Tally(kept=1)
    connection.execute(delete(table).where(key))
    connection.execute(insert(table), values)
    return Tally(added=known is None, replaced=known is not None)


def _visit_of(connection: Connection, record: ChainRecord) -> _Visit:
    """The columns that all rows of ``record`` share."""
    return {
        "chains_key": chain_key(connection, record.chain),
        "systems_key": system_key(connection, record.system),
        "dtype": str(record.dtype),
        "method": record.method,
    }


def _better_than_known(connection: Connection, sweep: Sweep) -> tuple[Timing, ...]:
    """The sweep's timings without those that were disturbed where the database has one that was not."""
    if not any(timing.status in steps.DISTURBED for timing in sweep.timings):
        return sweep.timings
    known = select_timings(connection, sweep.chain.digest, sweep.system, sweep.dtype, None)
    good = {(timing.implementation, timing.l2) for timing in known if timing.status is Status.OK}
    return tuple(
        timing
        for timing in sweep.timings
        if timing.status not in steps.DISTURBED or (timing.implementation, timing.l2) not in good
    )


def _drop(connection: Connection, table: Table, visit: _Visit, *which: ColumnElement[bool]) -> None:
    connection.execute(delete(table).where(*(table.c[name] == value for name, value in visit.items()), *which))


def _put_timings(connection: Connection, visit: _Visit, timings: tuple[Timing, ...], keep_newer: bool) -> Tally:
    keys = _implementation_keys(connection, (timing.implementation for timing in timings))
    # Of two rows with the same key the later one counts, as if they had come one after the other.
    new = {(timing.l2, keys[timing.implementation]): timing for timing in timings}
    known = {place: (key, at) for place, key, at in _known(connection, visit) if place in new}
    kept = {place for place, (_, at) in known.items() if keep_newer and moment(at) >= moment(new[place].measured_at)}
    replaced = sorted(key for place, (key, _) in known.items() if place not in kept)
    for chunk in chunks(replaced):
        connection.execute(delete(tables.timings).where(tables.timings.c.key.in_(chunk)))
    _insert_timings(connection, visit, {place: timing for place, timing in new.items() if place not in kept})
    return Tally(len(new) - len(known), len(replaced), len(kept))


def _insert_timings(connection: Connection, visit: _Visit, new: Mapping[tuple[str, int], Timing]) -> None:
    if not new:
        return
    notes = note_keys(connection, {text for timing in new.values() for text in (timing.reason, timing.gpu_uuid)})
    rows = [
        {
            **visit,
            **timing_values(timing),
            "implementations_key": implementation,
            "reason_key": notes[timing.reason],
            "gpu_uuid_key": notes[timing.gpu_uuid],
        }
        for (_, implementation), timing in sorted(new.items(), key=lambda item: item[0])
    ]
    connection.execute(insert(tables.timings), rows)
    _insert_launches(connection, visit, new)


def _insert_launches(connection: Connection, visit: _Visit, new: Mapping[tuple[str, int], Timing]) -> None:
    launched = {kernel for timing in new.values() for kernel in timing.kernels}
    if not launched:
        return
    values = {kernel: kernel_values(kernel) for kernel in launched}
    keys = intern(connection, tables.kernels, values.values())
    rows = [
        {
            "timings_key": key,
            "position": position,
            "kernels_key": keys[tuple(values[kernel].values())],
            **dict(zip(("grid_x", "grid_y", "grid_z"), kernel.grid, strict=True)),
        }
        for place, key, _ in _known(connection, visit)
        if place in new
        for position, kernel in enumerate(new[place].kernels)
    ]
    connection.execute(insert(tables.launches), rows)


def _put_counters(connection: Connection, visit: _Visit, counters: tuple[Counters, ...], *, keep_known: bool) -> None:
    keys = _implementation_keys(connection, (counted.implementation for counted in counters))
    for counted in counters:
        key = {**visit, "implementations_key": keys[counted.implementation]}
        values = {name: getattr(counted, name) for name in COUNTED}
        _put(connection, tables.counters, key, values, keep_known=keep_known)


def _put_visit(connection: Connection, row: _Visit, *, keep_known: bool) -> None:
    key = {name: value for name, value in row.items() if name != "seconds"}
    _put(connection, tables.sweeps, key, {"seconds": row["seconds"]}, keep_known=keep_known)


def _put(connection: Connection, table: Table, key: _Visit, values: _Visit, *, keep_known: bool) -> None:
    same = and_(*(table.c[name] == value for name, value in key.items()))
    if keep_known and connection.execute(select(table.c.key).where(same)).first():
        return
    connection.execute(delete(table).where(same))
    connection.execute(insert(table), {**key, **values})


def _known(connection: Connection, visit: _Visit) -> list[tuple[tuple[str, int], int, str]]:
    """(L2 state and implementation, key, when it was measured) of the timings of a visit that are there."""
    table = tables.timings
    query = select(table.c.l2, table.c.implementations_key, table.c.key, table.c.measured_at).where(
        *(table.c[name] == value for name, value in visit.items())
    )
    return [((row.l2, row.implementations_key), row.key, row.measured_at) for row in connection.execute(query)]


def _implementation_keys(
    connection: Connection, implementations: Iterable[Implementation]
) -> dict[Implementation, int]:
    values = {implementation: implementation_values(implementation) for implementation in implementations}
    if not values:
        return {}
    keys = intern(connection, tables.implementations, values.values())
    return {implementation: keys[tuple(columns.values())] for implementation, columns in values.items()}
