"""What a later run takes up again, and what it leaves alone (promise 2)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from headroom.errors import GpuError
from headroom.measure import client
from headroom.measure.again import Again
from headroom.measure.bench import Failure
from headroom.measure.client import Worker
from headroom.measure.crew import Crew
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.plan import Planned
from headroom.measure.reasons import row_of
from headroom.measure.sweep import SweepReport, measure_tasks
from headroom.measure.turn import Turn
from headroom.measure.visit import Budgets
from headroom.store.moments import moment
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.steps import OPERANDS, REST, library_of
from headroom.store.store import Store
from measure.chains import CONV, RELU, script, task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes turns by a file lock")

SYSTEM = fake_facts(Script()).system


def run(
    database: Path, *, missing: tuple[str, ...] = (), budgets: Budgets | None = None, again: Again | None = None
) -> SweepReport:
    """A run over one layer, by a parent that expects these libraries to be ``missing``."""
    planned = [Planned(task(RELU), 1, 1.0)]
    with Store.open(database) as store, Crew(budgets=budgets, size=1) as crew:
        return measure_tasks(planned, store, crew, system=SYSTEM, missing=missing, again=again)


def rows(database: Path) -> dict[Implementation, Timing]:
    with Store.open(database) as store:
        return {row.implementation: row for row in store.timings(RELU.digest, SYSTEM, task().dtype, "warm")}


@pytest.mark.alone
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


def test_a_disturbed_time_that_may_be_the_best_is_taken_again_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = tmp_path / "m.sqlite"
    monkeypatch.setenv("HEADROOM_BENCH", script())
    assert run(tmp_path / "calm.sqlite").measured == 1
    (best, *_) = sorted(rows(tmp_path / "calm.sqlite").values(), key=lambda row: row.median_us or 0.0)
    plan = int(best.implementation.name.removeprefix("plan"))
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "throttled", "plan": plan}))
    assert run(database).failed == 0
    first = rows(database)
    assert first[best.implementation].status is Status.THROTTLED
    monkeypatch.setenv("HEADROOM_BENCH", script())
    assert run(database).measured == 1
    second = rows(database)
    assert second[best.implementation].status is Status.OK
    assert set(second) == set(first)
    assert run(database).skipped == 1


def since(database: Path, *, failed_only: bool) -> Again:
    """As a run that begins a second after the last row, whose moment tells no more than seconds."""
    last = max(moment(row.measured_at) for row in rows(database).values())
    return Again(failed_only=failed_only, since=last)


def test_what_failed_is_known_until_it_is_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = tmp_path / "m.sqlite"
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "oom", "plan": 2}, {"how": "unsupported", "plan": 3}))
    assert run(database).measured == 1
    first = rows(database)
    failed = next(i for i, row in first.items() if row.status is Status.OOM)
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "build", "plan": 3}, {"how": "abort", "plan": 5}))
    assert run(database).skipped == 1
    assert run(database, again=since(database, failed_only=True)).measured == 1
    second = rows(database)
    assert second[failed].status is Status.OK
    unsupported = {i: row for i, row in first.items() if row.status is Status.UNSUPPORTED}
    assert unsupported.items() <= second.items(), "a library that declined declines again"
    assert run(database, again=since(database, failed_only=True)).skipped == 1, "nothing failed any more"


def test_a_layer_without_any_time_is_tried_again_altogether(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = tmp_path / "m.sqlite"
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "oom"}))
    assert run(database).failed == 1
    assert set(rows(database)) == {OPERANDS}
    monkeypatch.setenv("HEADROOM_BENCH", script())
    assert run(database).skipped == 1
    assert run(database, again=since(database, failed_only=True)).failed == 0
    assert OPERANDS not in rows(database)


def test_everything_is_measured_again_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    database = tmp_path / "m.sqlite"
    monkeypatch.setenv("HEADROOM_BENCH", script())
    assert run(database).measured == 1
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "build", "plan": 0}))
    assert run(database, again=since(database, failed_only=False)).measured == 1
    assert {i.name for i, row in rows(database).items() if row.status is Status.FAILED} == {"plan0"}


@pytest.mark.parametrize("failed_only", [True, False])
def test_what_another_run_has_measured_anew_by_now_is_left_out(failed_only: bool) -> None:
    again = Again(failed_only=failed_only, since=moment("2026-11-21T12:00:00Z"))
    old = row_of(Failure(Status.FAILED, "it was not to be"), Implementation("fake", "plan0"), "warm")
    for at, is_due in (("2026-11-21T12:00:00Z", True), ("2026-11-21T12:00:01Z", False)):
        assert again.is_due([replace(old, measured_at=at)]) is is_due
    assert again.is_due([]), "a visit that left no row says nothing"


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
