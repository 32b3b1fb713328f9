"""Promise 3: however the write-ahead log is cut or altered, what is read is what some whole transactions wrote."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Hashable
from contextlib import closing
from pathlib import Path

import pytest

from headroom.store.check import problems
from headroom.store.store import Store
from store.factory import make_sweep

SWEEPS = 12
_TABLES = ("systems", "chains", "implementations", "kernels", "notes", "sweeps", "timings", "launches")


@pytest.mark.parametrize("tear", ["cut", "flip"])
def test_a_torn_log_gives_an_intact_prefix(tmp_path: Path, tear: str) -> None:
    whole, log, states = _written(tmp_path / "whole.sqlite")
    chance = random.Random(11)
    torn = tmp_path / "torn.sqlite"
    seen: set[int] = set()
    for attempt in range(1000):
        torn.write_bytes(whole)
        Path(f"{torn}-wal").write_bytes(_torn(log, tear, chance))
        Path(f"{torn}-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(torn)) as connection:
            state = _state(connection)
            assert state in states, f"attempt {attempt}: a state that was never written"
            seen.add(states.index(state))
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if attempt % 50 == 0:
            with Store.open(torn) as store:
                assert problems(store) == ()
    assert len(seen) > SWEEPS // 2, "the tears all hit the same place"


def _written(file: Path) -> tuple[bytes, bytes, list[Hashable]]:
    """A database, its log with all sweeps in it, and every state that was acknowledged."""
    Store.open(file).close()
    whole = file.read_bytes()
    with Store.open(file) as store, closing(sqlite3.connect(file)) as reader:
        states = [_state(reader)]
        for number in range(SWEEPS):
            store.record(make_sweep(number))
            states.append(_state(reader))
        assert file.read_bytes() == whole, "the log was emptied on the way"
        return whole, Path(f"{file}-wal").read_bytes(), states


def _state(connection: sqlite3.Connection) -> Hashable:
    return tuple(tuple(connection.execute(f"SELECT * FROM {table}")) for table in _TABLES)


def _torn(log: bytes, tear: str, chance: random.Random) -> bytes:
    if tear == "cut":
        return log[: chance.randrange(len(log))]
    altered = bytearray(log)
    for _ in range(chance.choice((1, 1, 2, 8))):
        altered[chance.randrange(len(log))] ^= 1 << chance.randrange(8)
    return bytes(altered)
