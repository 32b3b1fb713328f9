"""Promise 5: disk full, read-only, locked: at each place that writes, a clear error and nothing damaged."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from headroom.errors import StoreError
from headroom.store import connect, migrations
from headroom.store.check import problems
from headroom.store.merge import StoreSource, merge
from headroom.store.store import Store
from headroom.store.vacuum import vacuum
from store.factory import (
    BF16,
    SYSTEM,
    dump,
    make_chain,
    make_counters,
    make_network,
    make_sweep,
    make_timing,
)  # fmt: skip

#: A sweep that needs more room than a disk that is full has left.
_LARGE = make_sweep(1, timings=tuple(make_timing(f"eng{i}_k2=5") for i in range(3000)))


def _record(store: Store) -> None:
    store.record(_LARGE)


def _record_network(store: Store) -> None:
    for number in range(2000):
        store.record_network(SYSTEM, make_network(graph=f"{number:032x}", model="m" * 500))


def _record_counters(store: Store) -> None:
    store.record_counters(SYSTEM, make_chain(2), BF16, [make_counters(f"eng{i}_k2=5") for i in range(3000)])


def _merge(store: Store) -> None:
    with Store.open(_elsewhere(), read_only=True) as other:
        merge(store, StoreSource(other))


def _vacuum(store: Store) -> None:
    vacuum(store)


#: What writes into a database that is open.
SITES: dict[str, Callable[[Store], None]] = {
    "record": _record, "record_network": _record_network, "record_counters": _record_counters, "merge": _merge,
    "vacuum": _vacuum,
}  # fmt: skip

_ELSEWHERE: list[Path] = []


def _elsewhere() -> Path:
    return _ELSEWHERE[0]


@pytest.fixture(scope="module", autouse=True)
def _large_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Something to merge, on another disk."""
    _ELSEWHERE.append(tmp_path_factory.mktemp("elsewhere") / "large.sqlite")
    with Store.open(_elsewhere()) as store:
        store.record(_LARGE)
    yield
    _ELSEWHERE.clear()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that can be filled or made read-only for real."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root and mount, to have a disk that can be filled")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def _full(folder: Path, spare_bytes: int = 0) -> Iterator[None]:
    filler = folder / "filler"
    status = os.statvfs(folder)
    with filler.open("wb") as file:
        file.write(b"\0" * max(0, status.f_bavail * status.f_bsize - spare_bytes))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def _no_file_longer_than(size: int) -> Iterator[None]:
    """Every file of this process stops growing there: what a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def _filled_store(file: Path) -> Iterator[Store]:
    """An open database with something worth losing; afterwards it has to be sound."""
    with Store.open(file) as store:
        store.record(make_sweep())
        if file.parent.name == "disk":
            # A vacuum needs room for a second copy: with this much to copy the disk has none.
            store.record(make_sweep(3, timings=tuple(make_timing(f"eng{i}_k9=1") for i in range(1000))))
        yield store
    with Store.open(file) as store:
        assert problems(store) == ()
        assert len(store.timings(make_chain().digest, SYSTEM, BF16)) == 5
        store.record(make_sweep(4))


@pytest.mark.parametrize("site", SITES)
def test_a_full_disk_damages_nothing(disk: Path, site: str) -> None:
    with _filled_store(disk / "m.sqlite") as store:
        before = dump(store)
        with _full(disk), pytest.raises(StoreError, match=r"m.sqlite .*(does not fit on its disk|cannot be written)"):
            SITES[site](store)
        assert _without_networks(dump(store)) == _without_networks(before)


@pytest.mark.parametrize("site", SITES)
def test_a_quota_damages_nothing(file: Path, site: str) -> None:
    with _filled_store(file) as store:
        before = dump(store)
        with _no_file_longer_than(16384), pytest.raises(StoreError, match=r"(does not fit|cannot be written)"):
            SITES[site](store)
        assert _without_networks(dump(store)) == _without_networks(before)


@pytest.mark.parametrize("site", SITES)
def test_a_lock_that_is_never_given_back_is_reported(file: Path, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "LOCK_WAIT_S", 0.2)
    with _filled_store(file) as store:
        before = dump(store)
        with _locked(file), pytest.raises(StoreError, match=r"is locked by another program: wait"):
            SITES[site](store)
        assert dump(store) == before


@pytest.mark.parametrize("site", SITES)
def test_a_read_only_disk_is_reported(disk: Path, site: str) -> None:
    file = disk / "m.sqlite"
    with _filled_store(file):
        pass
    with _read_only(disk):
        with (
            pytest.raises(StoreError, match=r"m.sqlite (is read-only|cannot be opened|cannot be written)"),
            Store.open(file) as store,
        ):
            SITES[site](store)
        with Store.open(file, read_only=True) as store:
            assert len(store.timings(make_chain().digest, SYSTEM, BF16)) == 5
    with Store.open(file) as store:
        assert problems(store) == ()


@pytest.mark.parametrize("site", SITES)
def test_a_database_opened_for_reading_takes_nothing(place: str, site: str) -> None:
    with Store.open(place) as store:
        store.record(make_sweep())
    with Store.open(place, read_only=True) as store:
        before = dump(store)
        with pytest.raises(StoreError, match=r"was opened for reading only"):
            SITES[site](store)
        assert dump(store) == before


@pytest.mark.parametrize("spare_bytes", [0, 8192, 65536])
def test_a_database_that_cannot_be_made_leaves_a_place_where_it_can_be(disk: Path, spare_bytes: int) -> None:
    file = disk / "new.sqlite"
    with _full(disk, spare_bytes), pytest.raises(StoreError, match=r"does not fit on its disk|cannot be"):
        Store.open(file)
    with Store.open(file) as store:
        store.record(make_sweep())
        assert problems(store) == ()


def test_a_migration_that_does_not_fit_leaves_the_old_database(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = disk / "m.sqlite"
    shutil.copy(_elsewhere(), file)
    whole = file.read_bytes()
    step = ModuleType("step")
    step.upgrade = lambda op: op.execute("CREATE TABLE copy AS SELECT * FROM timings, implementations LIMIT 90000")  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "headroom.store.migrations.to_2", step)
        patch.setattr(migrations, "SCHEMA", 2)
        with _full(disk, spare_bytes=300_000), pytest.raises(StoreError, match=r"does not fit|cannot be written"):
            Store.open(file)
    with Store.open(file) as store:
        assert problems(store) == ()
    assert file.read_bytes() == whole


def test_a_lock_while_the_database_is_opened_is_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "LOCK_WAIT_S", 0.2)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=r"is locked by another program: wait"):
            Store.open(file)
        other.execute("ROLLBACK")
    Store.open(file).close()


def test_a_lock_on_a_server_is_reported(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    monkeypatch.setattr(connect, "LOCK_WAIT_S", 0.2)
    with Store.open(postgres) as store:
        store.record(make_sweep())
        with psycopg.connect(postgres) as other:
            other.execute("LOCK TABLE timings IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreError, match=r"is locked by another program: wait"):
                store.record(make_sweep(1))
        store.record(make_sweep(1))


def test_a_server_that_was_restarted_is_found_again(postgres: str) -> None:
    import psycopg

    with Store.open(postgres) as store:
        store.record(make_sweep())
        with psycopg.connect(postgres, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        store.record(make_sweep(1))
        assert len(store.finished(SYSTEM, BF16, "all")) == 2


def test_a_user_who_may_not_write_is_told(postgres: str) -> None:
    import psycopg

    with Store.open(postgres) as store, psycopg.connect(postgres, autocommit=True) as other:
        store.record(make_sweep())
        other.execute(
            "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || "
            "' SET default_transaction_read_only = on'; END $$"
        )
    with Store.open(postgres) as store, pytest.raises(StoreError, match=r"is read-only: connect"):
        store.record(make_sweep(1))


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + bytes(4000)])
def test_a_file_that_is_no_database_is_refused_untouched(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"is not a database|is damaged"):
        Store.open(file)
    assert file.read_bytes() == content


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder, not a database"):
        Store.open(tmp_path)


def test_a_place_in_a_file_is_no_place(file: Path) -> None:
    file.write_text("")
    with pytest.raises(StoreError, match="cannot make the folder"):
        Store.open(file / "inside" / "m.sqlite")


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


def _without_networks(text: str) -> str:
    """Networks are written one by one: those that fitted stay."""
    return text[: text.index('"networks"')]
