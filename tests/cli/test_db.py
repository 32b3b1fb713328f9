"""``headroom db`` as a user runs it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from headroom.store import default
from headroom.store.store import Store
from store.factory import OTHER, SYSTEM, make_chain, make_network, make_sweep


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own database, with two systems in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv(default.VARIABLE, raising=False)
    monkeypatch.setattr(default, "shipped_files", lambda: ())
    with Store.open() as store:
        store.record(make_sweep(0))
        store.record(make_sweep(1))
        store.record(make_sweep(0, system=OTHER))
        store.record_network(SYSTEM, make_network())
        return Path(store.name)


def test_list_shows_the_systems(headroom, database: Path) -> None:
    done = headroom("db", "list", "--gpu", "h200")
    assert done.code == 0
    assert f"2 systems in {database}" in done.out.replace("\n", "")
    assert all(system.id in done.out for system in (SYSTEM, OTHER))
    assert "0 systems" in headroom("db", "list", "--gpu", "a10").out


def test_show_tells_a_systems_holdings_and_a_chains_rows(headroom, database: Path) -> None:
    done = headroom("db", "show", SYSTEM.id[:4])
    assert done.code == 0
    assert "4 ok, 2 oom" in done.out
    assert "resnet50" in done.out
    done = headroom("db", "show", SYSTEM.id, "--chain", make_chain(0).digest, "--dtype", "bf16")
    assert done.code == 0
    assert "eng1_k2=5" in done.out
    assert "oom: needs 9 GB" in done.out
    assert "No rows" in headroom("db", "show", SYSTEM.id, "--chain", "0" * 32).out


def test_show_of_an_unknown_system_is_database_trouble(headroom, database: Path) -> None:
    done = headroom("db", "show", "nothing")
    assert done.code == 5
    assert done.err.count("\n") == 1
    assert SYSTEM.id in done.err


def test_an_export_is_imported_by_another_database(headroom, database: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out.json", tmp_path / "other.sqlite"
    assert headroom("db", "export", "--out", out, "--system", SYSTEM.id).code == 0
    done = headroom("db", "import", out, "--db", other)
    assert (done.code, done.out.split(",")[0]) == (0, "11 measurements added")
    assert headroom("db", "export", "--db", other).out == out.read_text()
    done = headroom("db", "merge", database, "--db", other)
    assert (done.code, done.out.split(",")[0]) == (0, "5 measurements added")
    assert headroom("db", "export", "--db", other).out == headroom("db", "export").out


def test_a_part_is_exported_as_csv(headroom, database: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert headroom("db", "export", "--format", "csv", "--best", "1", "--gpu", "h200", "--out", out).code == 0
    assert len(out.read_text().splitlines()) == 1 + 3 * 2


def test_an_export_never_overwrites_the_database(headroom, database: Path) -> None:
    before = database.read_bytes()
    assert headroom("db", "export", "--out", database).code == 2
    assert database.read_bytes() == before


def test_check_says_whether_it_is_sound(headroom, database: Path) -> None:
    done = headroom("db", "check")
    assert (done.code, done.out.strip().endswith("is sound")) == (0, True)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE timings SET samples = 1 WHERE status = 'ok'")
    done = headroom("db", "check")
    assert done.code == 5
    assert "12 timings are ok with fewer than 10 samples" in done.out
    assert "restore it from a copy or an export" in done.err


def test_check_of_a_damaged_file_exits_with_5(headroom, database: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copy(database, tmp_path / "damaged.sqlite"))
    content = bytearray(damaged.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 12288)
    damaged.write_bytes(content)
    done = headroom("db", "check", "--db", damaged)
    assert done.code == 5
    assert "damaged" in done.err
    assert done.err.count("\n") == 1


def test_vacuum_says_what_it_dropped(headroom, database: Path) -> None:
    with Store.open(database) as store:
        store.record(make_sweep(0, plans="heuristic"))
    done = headroom("db", "vacuum")
    assert (done.code, done.out.split(" rows")[0]) == (0, "1 superseded")


def test_a_broken_import_is_database_trouble(headroom, database: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"format": "other"}))
    done = headroom("db", "import", tmp_path / "x.json")
    assert done.code == 5
    assert "is not an export of measurements" in done.err


def test_show_keeps_to_the_data_type_that_was_asked_for(headroom, database: Path) -> None:
    assert "bf16" in headroom("db", "show", SYSTEM.id, "--dtype", "bf16").out
    done = headroom("db", "show", SYSTEM.id, "--dtype", "fp8")
    assert done.code == 0
    assert "bf16" not in done.out
    assert "No rows." in done.out


def test_an_export_of_a_gpu_that_is_not_there_is_refused(headroom, database: Path, tmp_path: Path) -> None:
    out = tmp_path / "none.json"
    done = headroom("db", "export", "--gpu", "nope", "--out", out)
    assert (done.code, done.err.count("\n")) == (5, 1)
    assert "has no rows of GPU 'nope'" in done.err
    assert not out.exists()


def test_who_has_no_database_yet_reads_the_one_in_the_package(
    headroom, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    shutil.copyfile(database, shipped)
    home = tmp_path / "new"
    monkeypatch.setenv("XDG_DATA_HOME", str(home))
    monkeypatch.setattr(default, "shipped_files", lambda: (shipped,))
    assert headroom("db", "check").out.strip().endswith(f"{shipped} is sound")
    done = headroom("db", "export", "--gpu", "h200")
    assert (done.code, len(json.loads(done.out)["systems"])) == (0, 2)
    assert not home.exists()


def test_who_has_one_reads_both(headroom, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "shipped.sqlite"
    with Store.open(shipped) as store:
        store.record(make_sweep(8))
    with closing(sqlite3.connect(shipped)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    monkeypatch.setattr(default, "shipped_files", lambda: (shipped,))
    told = json.loads(headroom("db", "export").out)
    assert make_chain(8).digest in {record["chain"]["digest"] for record in told["measurements"]}
    assert headroom("db", "check").out.split("\n")[:2] == [f"{database} is sound", f"{shipped} is sound"]
    done = headroom("db", "export", "--out", shipped)
    assert (done.code, "is the input itself" in done.err) == (2, True)


def test_a_kernel_that_nothing_launches_any_more_is_told_in_numbers(headroom, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM kernels")
    done = headroom("db", "check")
    assert done.code == 5
    assert "24 rows of launches refer to rows of kernels that are not there" in done.out


@pytest.mark.parametrize("command", [("db", "check"), ("db", "list")])
def test_an_empty_file_is_one_line_that_says_so(headroom, database: Path, tmp_path: Path, command: tuple) -> None:
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    done = headroom(*command, "--db", empty)
    assert (done.code, done.err) == (
        5,
        f"headroom: the database {empty} is empty: headroom measure fills it, headroom db import too\n",
    )
