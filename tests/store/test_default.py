"""The user's own database and the shipped ones: where they are, and that reading leaves no trace."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from headroom.errors import StoreError
from headroom.store import default
from headroom.store.check import problems
from headroom.store.default import open_for_reading
from headroom.store.export import select, to_json
from headroom.store.notebook import open_for_measuring
from headroom.store.place import Place
from headroom.store.rows import Status
from headroom.store.store import Store
from store.factory import BF16, LATER, OTHER, SYSTEM, dump, make_chain, make_network, make_sweep, make_timing


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database in the package: three layers of one system."""
    file = tmp_path / "package" / "h200.sqlite"
    with Store.open(file) as store:
        for number in range(3):
            store.record(make_sweep(number))
        store.record_network(SYSTEM, make_network())
    monkeypatch.setattr(default, "shipped_files", lambda: (file,))
    return file


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "data" / "headroom" / "measurements.sqlite"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_default_is_a_file_in_the_users_data_folder(own: Path) -> None:
    with Store.open() as store:
        assert store.name == str(own)
    assert own.exists()


def test_an_environment_variable_names_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: Path) -> None:
    monkeypatch.setenv(default.VARIABLE, str(tmp_path / "other.sqlite"))
    with Store.open() as store:
        store.record(make_sweep())
    with open_for_reading() as stores:
        assert [summary.system for summary in stores.systems()] == [SYSTEM]
    assert (tmp_path / "other.sqlite").exists()
    assert not own.exists()


def test_a_run_that_measures_knows_what_was_shipped_and_copies_nothing(shipped: Path, own: Path) -> None:
    chains = frozenset(make_chain(number).digest for number in range(3))
    with open_for_measuring() as notebook:
        assert notebook.finished(SYSTEM, BF16, "all") == chains
        assert len(notebook.timings(make_chain().digest, SYSTEM, BF16)) == 5
        notebook.record(make_sweep(5))
        assert notebook.finished(SYSTEM, BF16, "all") == chains | {make_chain(5).digest}
    with Store.open() as store:
        assert store.finished(SYSTEM, BF16, "all") == {make_chain(5).digest}
    assert [path.name for path in own.parent.iterdir()] == [own.name]


def test_a_database_that_was_named_is_measured_into_alone(shipped: Path, tmp_path: Path) -> None:
    with open_for_measuring(tmp_path / "named.sqlite") as notebook:
        assert notebook.finished(SYSTEM, BF16, "all") == frozenset()


def test_without_a_database_of_ones_own_the_shipped_one_answers_and_nothing_is_written(
    shipped: Path, own: Path, tmp_path: Path
) -> None:
    before = _files(tmp_path)
    with open_for_reading() as stores:
        (summary,) = stores.systems("h200")
        assert stores.find_system(SYSTEM.id[:4]) == SYSTEM
        assert summary.layers == 3
        assert len(stores.best(SYSTEM, BF16, "warm", [make_chain(number).digest for number in range(9)])) == 3
        assert _files(tmp_path) == before
    assert _files(tmp_path) == before
    assert not own.parent.exists()


def test_with_nothing_at_all_nothing_is_known(tmp_path: Path) -> None:
    with open_for_reading() as stores:
        assert stores.systems() == ()
        assert stores.best(SYSTEM, BF16, "warm", [make_chain().digest]) == {}
    assert _files(tmp_path) == {}


def test_what_the_user_measured_later_replaces_all_that_was_shipped_of_a_chain(shipped: Path, own: Path) -> None:
    mine = make_timing("eng1_k2=5", "warm", 99.0, measured_at=LATER)
    with Store.open(own) as store:
        store.record(make_sweep(0, timings=(mine,)))
        store.record_network(SYSTEM, make_network(median_us=1.0, measured_at=LATER))
    digests = [make_chain(number).digest for number in range(3)]
    with open_for_reading() as stores:
        best = stores.best(SYSTEM, BF16, "warm", digests)
        assert [best[digest].median_us for digest in digests] == [99.0, 11.0625, 11.125]
        assert stores.timings(digests[0], SYSTEM, BF16, "warm") == (mine,)
        assert len(stores.timings(digests[0], SYSTEM, BF16, "cold")) == 2, "the user has nothing cold"
        assert len(stores.timings(digests[1], SYSTEM, BF16)) == 5
        assert [run.median_us for run in stores.networks(SYSTEM)] == [1.0]
        (summary,) = stores.systems()
        assert (summary.layers, summary.rows, summary.last_measured) == (3, 16, LATER)
        assert [(holding.l2, holding.layers) for holding in stores.holdings(SYSTEM)] == [("cold", 3), ("warm", 3)]


def test_what_is_shipped_later_is_not_hidden_by_an_older_database_of_ones_own(shipped: Path, own: Path) -> None:
    """Such as one that began as a copy of what an earlier release shipped."""
    own.parent.mkdir(parents=True)
    shutil.copyfile(shipped, own)
    new = tuple(replace(row, median_us=5.0, measured_at=LATER) for row in make_sweep().timings if row.median_us)
    with Store.open(shipped) as store:
        store.record(make_sweep(0, timings=new))
        store.record(make_sweep(8, timings=new))
    with open_for_reading() as stores:
        digests = [make_chain(number).digest for number in (0, 1, 8)]
        best = stores.best(SYSTEM, BF16, "warm", digests)
        assert [best[digest].median_us for digest in digests] == [5.0, 11.0625, 5.0]
        assert {row.measured_at for row in stores.timings(digests[0], SYSTEM, BF16) if row.median_us} == {LATER}
        assert stores.systems()[0].layers == 4


def test_what_the_user_measured_earlier_yields_to_a_shipped_row_of_the_same_key_alone(shipped: Path, own: Path) -> None:
    earlier = "2026-11-20T12:00:00Z"
    mine = (make_timing("eng1_k2=5", "warm", 1.0, measured_at=earlier),
            make_timing("eng7_k2=5", "warm", 2.0, measured_at=earlier))  # fmt: skip
    with Store.open(own) as store:
        store.record(make_sweep(0, timings=mine))
    with open_for_reading() as stores:
        warm = stores.timings(make_chain().digest, SYSTEM, BF16, "warm")
        assert [(row.implementation.name, row.median_us) for row in warm if row.median_us] == [
            ("eng7_k2=5", 2.0), ("eng1_k2=5", 11.0), ("eng2_k2=5", 12.0),
        ]  # fmt: skip
        assert stores.best(SYSTEM, BF16, "warm", [make_chain().digest]) == {make_chain().digest: mine[1]}


@pytest.mark.parametrize("status", [Status.THROTTLED, Status.UNSTABLE])
def test_a_disturbed_reading_never_hides_a_good_one_that_was_shipped(shipped: Path, own: Path, status: Status) -> None:
    disturbed = make_timing("eng1_k2=5", "warm", 1.0, measured_at=LATER, status=status)
    with Store.open(own) as store:
        store.record(make_sweep(0, timings=(disturbed,)))
    with open_for_reading() as stores:
        assert stores.best(SYSTEM, BF16, "warm", [make_chain().digest])[make_chain().digest].median_us == 11.0


def test_a_later_failure_of_an_implementation_counts(shipped: Path, own: Path) -> None:
    failed = make_timing("eng1_k2=5", "warm", None, measured_at=LATER, status=Status.FAILED)
    with Store.open(own) as store:
        store.record(make_sweep(0, timings=(failed,)))
    with open_for_reading() as stores:
        assert stores.best(SYSTEM, BF16, "warm", [make_chain().digest])[make_chain().digest].median_us == 12.0


def test_an_export_holds_what_is_read_from_both(shipped: Path, own: Path) -> None:
    with Store.open(own) as store:
        store.record(make_sweep(0, timings=(make_timing("eng1_k2=5", "warm", 99.0, measured_at=LATER),)))
        store.record(make_sweep(7, system=OTHER))
    with open_for_reading() as stores:
        told = json.loads("".join(to_json(stores, select(stores))))
        frame = stores.to_pandas("h200")
    assert set(told["systems"]) == {SYSTEM.id, OTHER.id}
    assert len(told["measurements"]) == 4
    assert len(told["networks"]) == 1
    assert sum(len(record["timings"]) for record in told["measurements"]) == len(frame) == 18


def test_an_export_of_one_database_is_that_databases_own(shipped: Path) -> None:
    with open_for_reading() as stores, Store.open(shipped, read_only=True) as store:
        assert "".join(to_json(stores, select(stores))) == dump(store)


def test_reading_a_database_that_someone_writes_leaves_no_trace(own: Path, tmp_path: Path) -> None:
    with Store.open(own) as store:
        store.record(make_sweep())
        before = set(_files(tmp_path))
        with open_for_reading() as stores:
            assert len(stores.systems()) == 1
        assert set(_files(tmp_path)) == before
        store.record(make_sweep(1))
    before_bytes = _files(tmp_path)
    with open_for_reading() as stores:
        assert stores.systems()[0].layers == 2
    assert _files(tmp_path) == before_bytes


def test_a_database_in_a_folder_that_takes_no_files_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "disc" / "m.sqlite"
    with Store.open(file) as store:
        store.record(make_sweep())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with open_for_reading(file) as stores:
        assert stores.systems()[0].layers == 1
        assert [path.name for path in file.parent.iterdir()] == ["m.sqlite"]


def test_a_database_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no database at .*none.sqlite: headroom measure makes one"):
        open_for_reading(tmp_path / "none.sqlite")
    assert _files(tmp_path) == {}


def test_a_broken_database_of_ones_own_is_an_error(shipped: Path, own: Path) -> None:
    own.parent.mkdir(parents=True)
    own.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="is not a database"):
        open_for_reading()


def test_a_database_that_the_environment_names_has_to_be_there_as_well(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(default.VARIABLE, str(tmp_path / "none.sqlite"))
    with pytest.raises(StoreError, match=r"there is no database at .*none.sqlite: headroom measure makes one"):
        open_for_reading()
    assert not (tmp_path / "none.sqlite").exists()


def test_the_shipped_databases_are_sound_and_small() -> None:
    files = sorted((Path(default.__file__).parent / "shipped").glob("*.sqlite"))
    assert sum(file.stat().st_size for file in files) < 10e6
    for file in files:
        with Store.at(Place(file, frozen=True), read_only=True) as store:
            assert problems(store) == ()


def test_rows_of_a_system_with_another_driver_are_another_systems(own: Path) -> None:
    with Store.open(own) as store:
        store.record(make_sweep())
    with open_for_reading() as stores:
        assert stores.best(replace(SYSTEM, driver="1"), BF16, "warm", [make_chain().digest]) == {}
