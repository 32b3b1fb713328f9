"""Promise 7 on three machines: their databases meet in one, in whatever order, and systems never mix."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from headroom.errors import StoreError
from headroom.store.check import problems
from headroom.store.merge import StoreSource, merge
from headroom.store.rows import System
from headroom.store.store import Store
from store.factory import BF16, LATER, NOON, OTHER, SYSTEM, dump, make_chain, make_network, make_sweep, make_timing

#: Two machines of one lab have the same driver, the third another.
LAB = {"a": ("GPU-a", SYSTEM, NOON, 10.0), "b": ("GPU-b", SYSTEM, LATER, 12.0), "c": ("GPU-c", OTHER, NOON, 9.0)}


@dataclass(frozen=True)
class Machine:
    file: Path
    system: System
    uuid: str


@pytest.fixture
def machines(tmp_path: Path) -> dict[str, Machine]:
    """Each has measured layer 0, and one of its own."""
    made = {}
    for number, (name, (uuid, system, at, median_us)) in enumerate(LAB.items(), start=1):
        file = tmp_path / f"{name}.sqlite"
        with Store.open(file) as store:
            for layer in (0, number):
                row = make_timing("eng1", median_us=median_us, gpu_uuid=uuid, measured_at=at)
                store.record(make_sweep(layer, system=system, timings=(row,)))
            store.record_network(system, make_network(measured_at=at, median_us=100 * median_us))
        made[name] = Machine(file, system, uuid)
    return made


def merged(where: str | Path, machines: list[Machine]) -> str:
    """The database at ``where`` after it took in all of ``machines`` in this order, as an export."""
    with Store.open(where) as store:
        for machine in machines:
            with Store.open(machine.file, read_only=True) as theirs:
                merge(store, StoreSource(theirs))
        assert problems(store) == ()
        return dump(store)


def test_three_databases_make_the_same_one_in_every_order(machines: dict[str, Machine], tmp_path: Path) -> None:
    orders = itertools.permutations(machines.values())
    dumps = {merged(tmp_path / f"{number}.sqlite", list(order)) for number, order in enumerate(orders)}
    assert len(dumps) == 1


def test_equal_gpus_share_rows_and_another_driver_keeps_its_own(machines: dict[str, Machine], place: str) -> None:
    merged(place, list(machines.values()))
    with Store.open(place) as store:
        assert {summary.system for summary in store.systems()} == {SYSTEM, OTHER}
        (shared,) = store.timings(make_chain(0).digest, SYSTEM, BF16)
        assert (shared.gpu_uuid, shared.median_us) == ("GPU-b", 12.0), "the newer one, and it says whose it is"
        (apart,) = store.timings(make_chain(0).digest, OTHER, BF16)
        assert (apart.gpu_uuid, apart.median_us) == ("GPU-c", 9.0)
        finished = {system: store.finished(system, BF16, "all") for system in (SYSTEM, OTHER)}
        assert finished[SYSTEM] == {make_chain(number).digest for number in (0, 1, 2)}
        assert finished[OTHER] == {make_chain(number).digest for number in (0, 3)}


def test_a_machine_that_comes_twice_changes_nothing(machines: dict[str, Machine], tmp_path: Path) -> None:
    a, b, c = machines.values()
    once = merged(tmp_path / "once.sqlite", [a, b, c])
    assert merged(tmp_path / "twice.sqlite", [a, b, a, c, b, c]) == once


@pytest.mark.parametrize("field", [field.name for field in fields(System)])
def test_a_third_machine_that_disagrees_is_refused_by_field_and_the_other_two_stay(
    machines: dict[str, Machine], tmp_path: Path, field: str
) -> None:
    a, b, c = machines.values()
    two = merged(tmp_path / "m.sqlite", [a, b])
    with closing(sqlite3.connect(c.file)) as connection, connection:
        # Its rows claim to be of the system that the others have, with one field of its own.
        values = {name: getattr(SYSTEM, name) for name in ("gpu", "driver", "cuda", "cudnn", "cublas", "torch")}
        values |= {"id": SYSTEM.id, field: "altered"}
        connection.execute(f"UPDATE systems SET {', '.join(f'{name} = ?' for name in values)}", tuple(values.values()))
    with Store.open(c.file, read_only=True) as theirs, Store.open(tmp_path / "m.sqlite") as store:
        with pytest.raises(StoreError, match=rf"has {field} .* but 'altered' in .*nothing was merged"):
            merge(store, StoreSource(theirs))
        assert dump(store) == two


@pytest.mark.parametrize("change", ["dtype", "l2", "layout", "math", "method"])
def test_whatever_is_in_the_key_of_a_row_keeps_rows_of_machines_apart(
    machines: dict[str, Machine], tmp_path: Path, change: str
) -> None:
    row = make_timing("eng1", median_us=1.0, measured_at=LATER)
    way = row.implementation
    sweep = make_sweep(0)
    altered = {
        "dtype": replace(sweep, dtype=type(BF16)("fp16"), timings=(row,)),
        "l2": replace(sweep, timings=(replace(row, l2="cold"),)),
        "layout": replace(sweep, timings=(replace(row, implementation=replace(way, layout="nchw")),)),
        "math": replace(sweep, timings=(replace(row, implementation=replace(way, math="fp16")),)),
        "method": replace(sweep, timings=(row,), method=sweep.method + 1),
    }[change]
    other = tmp_path / "other.sqlite"
    with Store.open(other) as store:
        store.record(altered)
    a = machines["a"]
    merged(tmp_path / "m.sqlite", [a, Machine(other, SYSTEM, "GPU-1234")])
    with Store.open(tmp_path / "m.sqlite") as store:
        rows = store.timings(make_chain(0).digest, SYSTEM, BF16, "warm")
        assert (10.0, "GPU-a") in {(row.median_us, row.gpu_uuid) for row in rows}, "the first machine's row stands"
