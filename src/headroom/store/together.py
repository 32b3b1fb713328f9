"""What several databases say of the same thing, made into one answer.

Databases stand in the order in which they count: the user's own first, then those in the package. Of equal keys the
newer row counts. What stands behind yields altogether to a later measurement of the same chain: it was what to go by
until somebody measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from datetime import datetime
from functools import reduce
from itertools import chain as joined
from typing import TypeVar

from headroom.store.moments import moment
from headroom.store.record import ChainRecord
from headroom.store.rows import Counters, NetworkTiming, Status, Timing
from headroom.store.steps import DISTURBED

_Row = TypeVar("_Row", Timing, NetworkTiming)


def timings_together(told: Iterable[Sequence[Timing]]) -> tuple[Timing, ...]:
    """The rows of one chain in one data type, fastest first, those without a time last, from what each database has."""
    known = [rows for rows in told if rows]
    if len(known) < 2:
        return tuple(known[0]) if known else ()
    states = dict.fromkeys(row.l2 for rows in known for row in rows)
    rows = joined.from_iterable(_in_state(l2, known) for l2 in states)
    return tuple(sorted(rows, key=lambda row: (row.median_us is None, row.median_us or 0.0)))


def networks_together(told: Iterable[Sequence[NetworkTiming]]) -> tuple[NetworkTiming, ...]:
    """Whole networks of one system; of the same run, as its newer row has it."""
    found: dict[tuple[object, ...], NetworkTiming] = {}
    for run in joined.from_iterable(told):
        key = (run.graph, run.batch, run.dtype, run.mode, run.method)
        found[key] = _newer(found.get(key, run), run)
    return tuple(found.values())


def counters_together(told: Iterable[Sequence[Counters]]) -> tuple[Counters, ...]:
    """What was counted of one chain; of the same implementation, as the first database has it."""
    found: dict[object, Counters] = {}
    for counted in joined.from_iterable(told):
        found.setdefault(counted.implementation, counted)
    return tuple(found.values())


def records_together(records: Sequence[ChainRecord]) -> ChainRecord:
    """All that is known of one chain on one system in one data type, by one version of the method, in order of key."""
    first = records[0]
    if len(records) == 1:
        return first
    visits = {plans: seconds for record in reversed(records) for plans, seconds in record.visits}
    timings = timings_together(record.timings for record in records)
    return ChainRecord(
        first.system,
        first.chain,
        first.dtype,
        first.method,
        tuple(sorted(visits.items())),
        tuple(sorted(timings, key=lambda row: (row.l2, *astuple(row.implementation)))),
        counters_together(record.counters for record in records),
    )


def _in_state(l2: str, told: Sequence[Sequence[Timing]]) -> list[Timing]:
    return reduce(_beside, ([row for row in rows if row.l2 == l2] for rows in told))


def _beside(first: list[Timing], second: list[Timing]) -> list[Timing]:
    """Two databases' rows of one chain in one state of the L2 cache."""
    if not first or not second:
        return first or second
    is_timed = any(row.status is Status.OK for row in first)
    if is_timed and _last(first) >= _last(second):
        return first
    found = {row.implementation: row for row in first}
    for row in second:
        found[row.implementation] = _newer(found.get(row.implementation, row), row)
    return list(found.values())


def _last(rows: Iterable[Timing]) -> datetime:
    return max(moment(row.measured_at) for row in rows)


def _newer(first: _Row, second: _Row) -> _Row:
    """The later one, unless it was disturbed where the other was not; the first of two as old as each other."""
    later, earlier = (first, second) if moment(first.measured_at) >= moment(second.measured_at) else (second, first)
    return earlier if later.status in DISTURBED and earlier.status is Status.OK else later
