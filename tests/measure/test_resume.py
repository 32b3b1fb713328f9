"""What a later run takes up again, and what it leaves alone (promise 2)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headroom.errors import GpuError
from headroom.measure import client
from headroom.measure.client import Worker
from headroom.measure.crew import Crew
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.plan import Planned
from headroom.measure.sweep import SweepReport, measure_tasks
from headroom.measure.turn import Turn
from headroom.measure.visit import Budgets
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.steps import REST, library_of
from headroom.store.store import Store
from measure.chains import CONV, RELU, script, task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes turns by a file lock")

SYSTEM = fake_facts(Script()).system


def run(database: Path, *, missing: tuple[str, ...] = (), budgets: Budgets | None = None) -> SweepReport:
    """A run over one layer, by a parent that expects these libraries to be ``missing``."""
    planned = [Planned(task(RELU), 1, 1.0)]
    with Store.open(database) as store, Crew(budgets=budgets, size=1) as crew:
        return measure_tasks(planned, store, crew, system=SYSTEM, missing=missing)


def rows(database: Path) -> dict[Implementation, Timing]:
    with Store.open(database) as store:
        return {row.implementation: row for row in store.timings(RELU.digest, SYSTEM, task().dtype, "warm")}


def test_a_layer_whose_time_was_over_is_taken_up_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = tmp_path / "m.sqlite"
    # The two that hang take the layer's whole budget.
    hangs = [{"how": "hang", "plan": plan} for plan in (1, 2)]
    monkeypatch.setenv("HEADROOM_BENCH", script(*hangs))
    budgets = Budgets(plan_s=1.0, layer_s=1.8)
    assert run(database, budgets=budgets).measured == 1
    first = rows(database)
    assert "fake plan2 was running" in first.pop(REST).reason
    assert {i.name: row.status for i, row in first.items()} == {"plan0": Status.OK, "plan1": Status.TIMEOUT}

    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "abort", "plan": 0}, {"how": "hang", "plan": 1}))
    assert run(database, budgets=budgets).measured == 1
    second = rows(database)
    assert REST not in second
    assert {row.implementation.name for row in second.values() if row.status is Status.OK} >= {"plan2", "plan5"}
    assert second[Implementation("fake", "plan1")] == first[Implementation("fake", "plan1")], "it was not tried again"
    assert run(database, budgets=budgets).skipped == 1


def test_a_layer_that_was_only_throttled_is_timed_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = tmp_path / "m.sqlite"
    faults = [{"how": "throttled", "plan": plan} for plan in range(5)]
    monkeypatch.setenv("HEADROOM_BENCH", script(*faults, {"how": "build", "plan": 5}))
    assert run(database).failed == 1
    monkeypatch.setenv("HEADROOM_BENCH", script())
    assert run(database).measured == 1
    statuses = {i.name: row.status for i, row in rows(database).items()}
    assert statuses.pop("plan5") is Status.FAILED, "that is known"
    assert set(statuses.values()) == {Status.OK}
    assert run(database).skipped == 1


def test_a_library_that_was_missing_is_tried_once_it_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = tmp_path / "m.sqlite"
    monkeypatch.setenv("HEADROOM_BENCH", script(missing={"cudnn": "ImportError: no"}))
    assert run(database, missing=("cudnn",)).measured == 1
    assert run(database, missing=("cudnn",)).skipped == 1
    assert library_of("cudnn") in rows(database)
    # A package may be installed and yet be of no use: then the workers' own word counts.
    assert run(database, missing=()).skipped == 1

    monkeypatch.setenv("HEADROOM_BENCH", script())
    assert run(database).measured == 1
    assert library_of("cudnn") not in rows(database)
    assert run(database).skipped == 1


def test_a_gpu_that_nobody_gives_back_ends_the_run_and_no_layer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(turns=str(tmp_path)))
    database = tmp_path / "m.sqlite"
    with Turn(fake_facts(Script()).gpu_uuid, tmp_path), pytest.raises(GpuError, match="kept the turn on the GPU"):
        run(database, budgets=Budgets(turn_s=0.3))
    assert rows(database) == {}
    assert run(database).measured == 1


def test_a_process_that_served_long_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MOST_LAYERS", 2)
    monkeypatch.setenv("HEADROOM_BENCH", script())
    started = []

    class Counted(client.WorkerProcess):
        def __init__(self, gpu: int) -> None:
            super().__init__(gpu)
            started.append(self.pid)

    monkeypatch.setattr(client, "WorkerProcess", Counted)
    with Worker() as worker:
        for chain in (RELU, CONV, RELU):
            assert any(row.status is Status.OK for row in worker.measure(task(chain)))
        assert worker.replaced == 0, "none was lost"
    assert len(started) == 2
