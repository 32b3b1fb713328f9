"""Promise 6: old databases open, newer ones are refused untouched, a migration happens whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from headroom.errors import StoreError
from headroom.store import migrations
from headroom.store.check import problems
from headroom.store.store import Store
from headroom.store.tables import METADATA
from store.factory import (
    BF16,
    OTHER,
    SYSTEM,
    dump,
    make_chain,
    make_counters,
    make_network,
    make_sweep,
    make_timings,
)  # fmt: skip

GOLDEN = sorted((Path(__file__).parent / "golden").glob("schema-*.sqlite"))


@pytest.fixture(params=GOLDEN, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a database that a released Headroom wrote."""
    return Path(shutil.copy(request.param, tmp_path / "old.sqlite"))


def test_there_is_a_golden_database_for_every_schema() -> None:
    assert [path.stem for path in GOLDEN] == [f"schema-{number}" for number in range(1, migrations.SCHEMA + 1)]


def test_old_databases_open_with_every_row(old: Path) -> None:
    with Store.open(old) as store:
        assert set(store.timings(make_chain().digest, SYSTEM, BF16)) == set(make_timings())
        assert store.finished(SYSTEM, BF16, "all") == {make_chain(number).digest for number in range(3)}
        assert {summary.system for summary in store.systems()} == {SYSTEM, OTHER}
        assert store.networks(SYSTEM) == (make_network(),)
        assert store.counters(SYSTEM, make_chain().digest, BF16) == (make_counters(),)
        store.record(make_sweep(5))
        assert problems(store) == ()


def test_an_old_database_becomes_what_a_new_one_is(old: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with Store.open(old) as store, store.database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_newer_database_is_refused_untouched(place: str) -> None:
    with Store.open(place) as store:
        store.record(make_sweep())
        _set_schema(store, migrations.SCHEMA + 1)
    before = Path(place).read_bytes() if "://" not in place else b""
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"newer than the 1 that this Headroom knows: upgrade Headroom"):
            Store.open(place, read_only=read_only)
    if before:
        assert Path(place).read_bytes() == before
        assert [path.name for path in Path(place).parent.glob("measurements*")] == ["measurements.sqlite"]


def test_an_old_database_is_migrated(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _recorded(place)
    _add_step(monkeypatch, _rebuild_timings)
    with Store.open(place) as store:
        assert dump(store) == before
        assert problems(store) == ()
        with store.database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM timings WHERE mood = 'fine'").scalar() == 5
    Store.open(place, read_only=True).close()


def test_an_old_database_opened_for_reading_says_how_to_migrate(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _recorded(place)
    _add_step(monkeypatch, _rebuild_timings)
    with pytest.raises(StoreError, match=r"has schema 1, this Headroom reads 2: run headroom db vacuum"):
        Store.open(place, read_only=True)


def test_a_failed_migration_leaves_the_old_database_as_it_was(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _recorded(place)
    whole = Path(place).read_bytes() if "://" not in place else b""

    def fail(op: object) -> None:
        _rebuild_timings(op)
        raise ArithmeticError("half way")

    with monkeypatch.context() as patch:
        _add_step(patch, fail)
        with pytest.raises(ArithmeticError):
            Store.open(place)
    with Store.open(place) as store:
        assert dump(store) == before
    if whole:
        assert Path(place).read_bytes() == whole


def test_a_migration_that_loses_references_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _recorded(str(file))

    def lose(op: object) -> None:
        op.execute("DELETE FROM kernels")  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        _add_step(patch, lose)
        with pytest.raises(StoreError, match=r"nothing was changed"):
            Store.open(file)
    with Store.open(file) as store:
        assert dump(store) == before


def test_alembic_is_loaded_only_to_migrate(file: Path) -> None:
    import subprocess

    code = (
        "import sys; from headroom.store.store import Store;"
        f"Store.open({str(file)!r}).close(); print('alembic' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_an_empty_database_that_is_only_read_says_how_to_fill_it(file: Path) -> None:
    file.touch()
    with pytest.raises(StoreError, match=r"is empty: headroom measure fills it"):
        Store.open(file, read_only=True)
    assert file.read_bytes() == b""
    with Store.open(file) as store:
        store.record(make_sweep())
        assert problems(store) == ()


@pytest.mark.parametrize("said", ["'0'", "'-1'", "'soon'", "x'00ff'", f"'{'9' * 5000}'"])
def test_a_schema_that_there_never_was_is_no_database_of_ours(file: Path, said: str) -> None:
    _recorded(str(file))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE meta SET value = {said} WHERE name = 'schema_version'")
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"is not a Headroom database \(schema '.*' never was\)"):
            Store.open(file, read_only=read_only)


def _recorded(place: str) -> str:
    with Store.open(place) as store:
        store.record(make_sweep())
        return dump(store)


def _set_schema(store: Store, version: int) -> None:
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE meta SET value = '{version}' WHERE name = 'schema_version'")


def _add_step(monkeypatch: pytest.MonkeyPatch, upgrade: object) -> None:
    """Pretend that this is the Headroom after next: one more schema, and the step to it."""
    step = ModuleType("step")
    step.upgrade = upgrade  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "headroom.store.migrations.to_2", step)
    monkeypatch.setattr(migrations, "SCHEMA", 2)


def _rebuild_timings(op: object) -> None:
    """What migrations do: SQLite has to copy the table that others refer to."""
    import sqlalchemy as sa

    recreate = "always" if op.get_bind().dialect.name == "sqlite" else "never"  # type: ignore[attr-defined]
    with op.batch_alter_table("timings", recreate=recreate) as batch:  # type: ignore[attr-defined]
        batch.add_column(sa.Column("mood", sa.Text, nullable=False, server_default="fine"))


def test_the_schema_is_told_from_outside(file: Path) -> None:
    """Other programs may ask the file."""
    _recorded(str(file))
    with closing(sqlite3.connect(file)) as connection:
        facts = dict(connection.execute("SELECT name, value FROM meta"))
    assert facts["schema_version"] == str(migrations.SCHEMA)
    assert len(facts["database_id"]) == 32
