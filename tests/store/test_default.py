"""The user's own database and the shipped ones: where they are, and that reading leaves no trace."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from headroom.errors import StoreError
from headroom.store import default
from headroom.store.check import problems
from headroom.store.choose import fullest
from headroom.store.default import open_for_reading
from headroom.store.place import Place
from headroom.store.schema import database_id
from headroom.store.store import Store
from store.factory import BF16, LATER, OTHER, SYSTEM, make_chain, make_network, make_sweep, make_timing


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


def test_a_new_database_begins_with_what_was_shipped(shipped: Path, own: Path) -> None:
    with Store.open() as store, Store.open(shipped, read_only=True) as package:
        assert store.finished(SYSTEM, BF16, "all") == package.finished(SYSTEM, BF16, "all") != frozenset()
        with store.database.reading() as mine, package.database.reading() as theirs:
            assert database_id(mine) != database_id(theirs)
        store.record(make_sweep(5))
    with Store.open() as store:
        assert len(store.finished(SYSTEM, BF16, "all")) == 4
    assert [path.name for path in own.parent.iterdir()] == [own.name]


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


def test_what_the_user_measured_counts_before_what_was_shipped(shipped: Path, own: Path) -> None:
    mine = make_timing("eng1_k2=5", "warm", 99.0, measured_at=LATER)
    with Store.open(own) as store:
        store.record(make_sweep(0, timings=(mine,)))
        store.record_network(SYSTEM, make_network(median_us=1.0))
    digests = [make_chain(number).digest for number in range(3)]
    with open_for_reading() as stores:
        best = stores.best(SYSTEM, BF16, "warm", digests)
        assert [best[digest].median_us for digest in digests] == [99.0, 11.0625, 11.125]
        assert stores.timings(digests[0], SYSTEM, BF16) == (mine,)
        assert len(stores.timings(digests[1], SYSTEM, BF16)) == 5
        assert [run.median_us for run in stores.networks(SYSTEM)] == [1.0]
        (summary,) = stores.systems()
        assert (summary.layers, summary.last_measured) == (3, LATER)


def test_the_system_with_the_most_layers_answers_and_the_newest_of_several(shipped: Path, own: Path) -> None:
    with Store.open(own) as store:
        store.record(make_sweep(0, system=OTHER, timings=(make_timing(measured_at=LATER),)))
        with open_for_reading() as stores:
            assert [summary.system for summary in stores.systems()] == [OTHER, SYSTEM]
            chosen = fullest(stores.systems("h200"))
            assert chosen is not None
            assert chosen.system == SYSTEM
        for number in (1, 2):
            store.record(make_sweep(number, system=OTHER, timings=(make_timing(measured_at=LATER),)))
        with open_for_reading() as stores:
            chosen = fullest(stores.systems("h200"))
            assert chosen is not None
            assert chosen.system == OTHER
    assert fullest(()) is None


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


def test_a_seed_never_takes_the_place_of_a_database(shipped: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program makes the file while this one copies."""
    copy = shutil.copyfile

    def copy_slowly(source: Path, target: Path) -> None:
        copy(source, target)
        with Store.open(own) as other:
            other.record(make_sweep(8))

    monkeypatch.setattr(shutil, "copyfile", copy_slowly)
    with Store.open() as store:
        assert store.finished(SYSTEM, BF16, "all") == {make_chain(8).digest}


def test_where_files_cannot_be_linked_the_database_begins_empty(
    shipped: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with Store.open() as store:
        assert store.systems() == ()
        with open_for_reading() as stores:
            assert stores.systems()[0].layers == 3


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
