"""Measurements travel: exports come back as they were, merges keep the newer row and refuse what was altered."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from headroom.errors import StoreError
from headroom.store.check import problems
from headroom.store.export import select, to_csv, to_json
from headroom.store.flat import COLUMNS
from headroom.store.imported import JsonSource
from headroom.store.merge import StoreSource, merge
from headroom.store.record import Tally
from headroom.store.rows import METHOD, Implementation, Status, System
from headroom.store.steps import OPERANDS, library_of
from headroom.store.store import Store
from headroom.store.vacuum import vacuum
from store.factory import (
    BF16,
    LATER,
    NOON,
    OTHER,
    SYSTEM,
    dump,
    make_chain,
    make_counters,
    make_network,
    make_oom,
    make_step,
    make_sweep,
    make_timing,
)  # fmt: skip


def _fill(store: Store) -> None:
    for number in range(3):
        store.record(make_sweep(number))
    store.record(make_sweep(0, system=OTHER, plans="heuristic"))
    store.record(make_sweep(9, timings=()))
    store.record_network(SYSTEM, make_network())
    store.record_counters(SYSTEM, make_chain(), BF16, [make_counters()])


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A database to merge from."""
    file = tmp_path / "source.sqlite"
    with Store.open(file) as store:
        _fill(store)
    return file


def test_an_export_comes_back_as_it_was(filled: Path, store: Store, tmp_path: Path) -> None:
    with Store.open(filled) as source:
        text = dump(source)
    (tmp_path / "export.json").write_text(text)
    assert merge(store, JsonSource(tmp_path / "export.json")) == Tally(added=21)
    assert dump(store) == text
    assert problems(store) == ()


def test_a_merged_database_comes_in_as_it_is(filled: Path, store: Store) -> None:
    with Store.open(filled, read_only=True) as source:
        assert merge(store, StoreSource(source)) == Tally(added=21)
        assert dump(store) == dump(source)
        assert merge(store, StoreSource(source)) == Tally(kept=21)
        assert dump(store) == dump(source)


def test_of_two_equal_keys_the_newer_row_stays_and_the_rest_is_counted(filled: Path, store: Store) -> None:
    newer = make_timing("eng1_k2=5", "warm", 5.0, measured_at=LATER)
    older = make_timing("eng2_k2=5", "warm", 6.0, measured_at="2026-11-21T11:00:00+01:00")
    store.record(make_sweep(timings=(newer, older)))
    store.record_network(SYSTEM, make_network(median_us=1.0, measured_at=LATER))
    with Store.open(filled, read_only=True) as source:
        tally = merge(store, StoreSource(source))
    assert (tally.replaced, tally.kept) == (1, 2)
    assert "1 older ones replaced, 2 left out" in tally.sentence
    warm = {row.implementation.name: row for row in store.timings(make_chain().digest, SYSTEM, BF16, "warm")}
    assert warm["eng1_k2=5"] == newer
    assert (warm["eng2_k2=5"].median_us, warm["eng2_k2=5"].measured_at) == (12.0, NOON)
    assert store.networks(SYSTEM)[0].median_us == 1.0


@pytest.mark.parametrize("field", [field.name for field in fields(System)])
def test_a_merge_that_disagrees_on_a_system_names_the_field(filled: Path, store: Store, field: str) -> None:
    store.record(make_sweep())
    before = dump(store)
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute(f"UPDATE systems SET {field} = 'altered' WHERE id = ?", (SYSTEM.id,))
    with Store.open(filled, read_only=True) as source:
        said = rf"has {field} '{getattr(SYSTEM, field)}' in .* but 'altered' in .*nothing was merged"
        with pytest.raises(StoreError, match=rf"system {SYSTEM.id} {said}"):
            merge(store, StoreSource(source))
        assert any(SYSTEM.id in problem for problem in problems(source))
    assert dump(store) == before


def test_an_altered_system_that_is_new_here_is_refused_too(filled: Path, store: Store) -> None:
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE systems SET driver = 'altered' WHERE id = ?", (SYSTEM.id,))
    with (
        Store.open(filled, read_only=True) as source,
        pytest.raises(StoreError, match="that its id stands for"),
    ):
        merge(store, StoreSource(source))
    assert store.systems() == ()


@pytest.mark.parametrize("layers", ["[]", "not json", json.dumps(make_chain(5).to_json())])
def test_an_altered_chain_is_refused(filled: Path, store: Store, layers: str) -> None:
    with closing(sqlite3.connect(filled)) as connection, connection:
        connection.execute("UPDATE chains SET layers = ? WHERE digest = ?", (layers, make_chain(0).digest))
    with Store.open(filled, read_only=True) as source:
        with pytest.raises(StoreError, match=rf"chain {make_chain(0).digest} .* nothing was merged"):
            merge(store, StoreSource(source))
        assert problems(source) == (
            f"chain {make_chain(0).digest} does not have the layers that its digest stands for",
        )
    assert store.systems() == ()


def test_a_part_is_exported_by_gpu_and_by_system(filled: Path, store: Store) -> None:
    with Store.open(filled) as source:
        source.record(make_sweep(1, system=replace(SYSTEM, gpu="Tesla V100-PCIE-32GB")))
        for part, systems in (({"gpu": "h200"}, 2), ({"system": OTHER.id[:5]}, 1), ({}, 3)):
            assert len(json.loads("".join(to_json(source, select(source, **part))))["systems"]) == systems
        with pytest.raises(StoreError, match="no rows of GPU 'a10'"):
            select(source, gpu="a10")


def test_best_keeps_the_fastest_and_the_frameworks_own_choice(store: Store, tmp_path: Path) -> None:
    framework = replace(make_timing("cudnn.benchmark", median_us=50.0), implementation=Implementation("torch", "conv"))
    many = [make_timing(f"eng{i}", l2, float(10 + i)) for i in range(9) for l2 in ("warm", "cold")]
    store.record(make_sweep(timings=(*many, framework)))
    (measured,) = json.loads("".join(to_json(store, select(store, best=2))))["measurements"]
    assert measured["visits"] == {"all": 0.5}
    kept = sorted((row["l2"], row["median_us"]) for row in measured["timings"])
    assert kept == [("cold", 10.0), ("cold", 11.0), ("warm", 10.0), ("warm", 11.0), ("warm", 50.0)]


def test_best_keeps_why_a_chain_has_no_time(store: Store) -> None:
    nothing = make_step(OPERANDS, Status.UNSUPPORTED)
    store.record(make_sweep(0, timings=(nothing,)))
    store.record(make_sweep(1, timings=(make_oom(), make_oom("cold"))))
    without, failed = (store.timings(make_chain(number).digest, SYSTEM, BF16) for number in (0, 1))
    chosen = select(store, best=1)
    kept = {record.chain.digest: chosen.of(record).timings for record in store.records(SYSTEM)}
    assert kept == {make_chain(0).digest: without, make_chain(1).digest: tuple(sorted(failed, key=lambda row: row.l2))}


def test_best_keeps_that_a_library_was_missing(store: Store, tmp_path: Path) -> None:
    missing = make_step(library_of("cudnn"), Status.UNSUPPORTED)
    store.record(make_sweep(timings=(make_timing(), make_oom(), missing)))
    (tmp_path / "best.json").write_text("".join(to_json(store, select(store, best=1))))
    with Store.open(tmp_path / "other.sqlite") as other:
        merge(other, JsonSource(tmp_path / "best.json"))
        assert other.finished(SYSTEM, BF16, "all") == frozenset(), "it is there by now"
        assert other.finished(SYSTEM, BF16, "all", {"cudnn"}) == {make_chain().digest}


def test_csv_has_a_line_per_timing(filled: Path) -> None:
    with Store.open(filled) as store:
        rows = list(csv.DictReader(io.StringIO("".join(to_csv(store, select(store))))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 20
    oom = [row for row in rows if row["status"] == "oom"]
    assert [(row["median_us"], row["needed_bytes"], row["reason"]) for row in oom[:1]] == [
        ("", str(9 << 30), "needs 9 GB, 1 is free")
    ]


def _document(filled: Path) -> Any:
    with Store.open(filled) as store:
        data = json.loads(dump(store))
    data["measurements"].sort(key=lambda measured: -len(measured["timings"]))
    return data


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda d: d.update(version=9), "export of version 9, this Headroom reads 1: upgrade"),
        (lambda d: d.update(format="other"), "is not an export of measurements"),
        (lambda d: d.update(measurements={}), "measurements is {}, expected a list"),
        (lambda d: d["systems"][SYSTEM.id].pop("cuda"), f"systems.{SYSTEM.id} has no cuda"),
        (lambda d: d["measurements"][0].update(system="ffffffff"), "'ffffffff', which the file does not describe"),
        (lambda d: d["measurements"][0].update(dtype="fp13"), r"\[0\].dtype is 'fp13', expected one of fp32"),
        (lambda d: d["measurements"][0]["chain"].update(layers=[[]]), "these are no layers"),
        (lambda d: d["measurements"][0]["timings"][0].update(median_us="fast"), "is 'fast', expected a finite number"),
        (lambda d: d["measurements"][0]["timings"][0].update(mood=1), "has 'mood', which is no field of a Timing"),
        (lambda d: d["measurements"][0]["timings"][0]["kernels"][0].update(grid=[1, 1]), "grid is .* a list of 3"),
        (lambda d: d["networks"][0].update(samples=2**70), "samples is .*, expected a whole number"),
    ],
)  # fmt: skip
def test_an_export_that_does_not_fit_is_refused_whole(
    filled: Path, store: Store, tmp_path: Path, alter: Callable[[Any], object], said: str
) -> None:
    data = _document(filled)
    alter(data)
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(data))
    with pytest.raises(StoreError, match=rf"altered.json.*{said}"):
        merge(store, JsonSource(altered))
    assert store.systems() == ()


def test_an_export_whose_chain_was_altered_is_refused(filled: Path, store: Store, tmp_path: Path) -> None:
    data = _document(filled)
    data["measurements"][0]["chain"]["layers"] = make_chain(7).to_json()
    (tmp_path / "altered.json").write_text(json.dumps(data))
    with pytest.raises(StoreError, match="does not have the layers that its digest stands for"):
        merge(store, JsonSource(tmp_path / "altered.json"))
    assert store.systems() == ()


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "[]", "\xff", '{"format": "headroom-measurements"}'])
def test_what_is_no_export_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(text, "latin-1")
    with pytest.raises(StoreError, match=r"export.json.* (is not|is an export of version)"):
        JsonSource(file)


def test_vacuum_drops_what_no_answer_uses(store: Store) -> None:
    store.record(make_sweep(0, plans="heuristic"))
    store.record(make_sweep(0))
    store.record(make_sweep(1, method=METHOD - 1))
    store.record(make_sweep(2, system=OTHER, method=METHOD - 1, timings=(make_timing("eng77"),)))
    store.record_network(OTHER, make_network(method=METHOD - 1))
    assert vacuum(store) == 5 + 1 + 1 + 1 + 1 + 1
    text = dump(store)
    with store.database.reading() as connection:
        counts = {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("systems", "chains", "sweeps", "timings", "networks", "implementations", "launches")
        }
    assert counts == {
        "systems": 1, "chains": 1, "sweeps": 1, "timings": 5, "networks": 0, "implementations": 3, "launches": 8,
    }  # fmt: skip
    assert vacuum(store) == 0
    assert dump(store) == text
    assert problems(store) == ()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE timings SET median_us = 0 WHERE status = 'ok'", "4 timings are ok without a time above 0"),
        ("UPDATE timings SET median_us = NULL WHERE status = 'ok'", "4 timings are ok without a time above 0"),
        ("UPDATE timings SET samples = 9 WHERE status = 'ok'", "4 timings are ok with fewer than 10 samples"),
        ("UPDATE timings SET l2 = 'tepid' WHERE l2 = 'cold'", "2 timings have no known L2 state"),
        ("UPDATE timings SET status = 'fine'", "5 timings have a status that is none"),
        ("UPDATE timings SET dtype = 'fp13'", "5 timings have a data type that is none"),
        ("UPDATE sweeps SET plans = 'some'", "1 sweeps tried plans of an unknown kind"),
    ],
)
def test_check_finds_what_must_not_be(store: Store, statement: str, said: str) -> None:
    store.record(make_sweep())
    assert problems(store) == ()
    with store.database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert problems(store) == (said,)


def test_check_finds_rows_that_refer_to_nothing(file: Path) -> None:
    with Store.open(file) as store:
        store.record(make_sweep())
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("DELETE FROM kernels")
        assert "8 rows of launches refer to rows of kernels that are not there" in problems(store)
