"""Several workers on one GPU: they take turns, and what one of them does costs the others nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import builders
from headroom.errors import GpuError
from headroom.graph.chain import Chain
from headroom.measure.crew import Crew, Done, default_size
from headroom.measure.room import Room, needed_bytes
from headroom.measure.task import Task
from headroom.measure.turn import Turn
from headroom.measure.visit import Budgets
from headroom.store.rows import Status
from measure.chains import CONV, FUSED, RELU, script, task
from measure.processes import environment, wait_until_gone, workers_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes turns by a file lock, looks at /proc")


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    assert workers_of(os.getpid()) == []


def measured(tasks: list[Task], *, size: int, budgets: Budgets | None = None) -> dict[str, Done]:
    with Crew(budgets=budgets, size=size) as crew:
        crew.facts()
        return {done.task.chain.title: done for done in crew.measure(iter(tasks))}


def test_every_task_is_done_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(turns=str(tmp_path)))
    found = measured([task(RELU), task(CONV), task(FUSED)], size=2)
    assert set(found) == {"relu", "convolution", "convolution + batch norm + relu"}
    assert all(row.status is Status.OK for done in found.values() for row in done.rows)


def test_a_plan_that_hangs_in_its_turn_costs_the_others_only_their_patience(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hang = {"how": "hang", "plan": 0, "chain": "relu"}
    monkeypatch.setenv("HEADROOM_BENCH", script(hang, turns=str(tmp_path)))
    # The other worker waits as long as the whole budget of a plan, and then some.
    found = measured([task(RELU), task(CONV)], size=2, budgets=Budgets(plan_s=1.0, layer_s=1.8))
    hung = {row.implementation.name: row.status for row in found["relu"].rows if row.l2 == "warm"}
    assert hung["plan0"] is Status.TIMEOUT
    assert {row.status for row in found["convolution"].rows} == {Status.OK}


def test_a_plan_that_dies_in_its_turn_gives_the_turn_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    faults = [{"how": how, "plan": plan, "chain": "relu"} for plan, how in enumerate(["abort", "poison", "garbage"])]
    monkeypatch.setenv("HEADROOM_BENCH", script(*faults, turns=str(tmp_path)))
    found = measured([task(RELU), task(CONV)], size=2)
    assert sum(row.status is Status.FAILED for row in found["relu"].rows) == 3
    assert {row.status for row in found["convolution"].rows} == {Status.OK}


def test_a_crew_is_as_large_as_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert [default_size(gib << 30) for gib in (4, 8, 16, 24, 80, 141)] == [1, 1, 2, 4, 12, 12]
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert default_size(141 << 30) == 1


def test_only_workers_that_were_needed_have_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script())
    with Crew(size=3) as crew:
        assert crew.started == 0
        assert crew.facts()
        assert crew.started == 1


def test_a_crew_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(start="exit"))
    with Crew(size=2) as crew, pytest.raises(GpuError, match="exit code 3"):
        list(crew.measure(iter([task(RELU), task(CONV)])))


def test_a_crew_that_is_left_early_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "hang", "plan": 0, "chain": "relu"}))
    with Crew(size=2) as crew:
        done = next(crew.measure(iter([task(RELU), task(CONV)])))
        assert done.task.chain == CONV
    time.sleep(0.2)


def test_workers_stay_from_one_batch_to_the_next_and_those_that_are_there_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script())
    with Crew(size=3) as crew:
        crew.facts()
        list(crew.measure(iter([task(RELU), task(CONV)]), most=2))
        first = set(workers_of(os.getpid()))
        for _ in range(3):
            assert [done.task.chain for done in crew.measure(iter([task(FUSED)]), most=1)] == [FUSED]
        assert crew.started <= 2
        assert set(workers_of(os.getpid())) == first
        assert crew.replaced == 0


@pytest.mark.alone
def test_four_workers_compile_about_four_times_as_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plans, build_s, tasks = 4, 0.08, 16
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=plans, build_s=build_s, turns=str(tmp_path)))
    chains = [Chain.of([builders.conv("c", "x", channels=8 * number)]) for number in range(1, tasks + 5)]
    with Crew(size=4) as crew:
        crew.facts()
        # All four are up before the clock runs: each takes one of the first four tasks, and is slow at it.
        list(crew.measure(task(chain) for chain in chains[:4]))
        start = time.monotonic()
        done = list(crew.measure(task(chain) for chain in chains[4:]))
        spent_s = time.monotonic() - start
    alone_s = tasks * plans * 2 * build_s  # two layouts
    assert len(done) == tasks
    assert crew.started == 4
    assert spent_s < alone_s / 2.5


def test_tasks_that_would_fill_the_memory_together_wait_for_each_other() -> None:
    small, large = task(RELU), task(CONV)
    room = Room(needed_bytes(large) + needed_bytes(small) - 1)
    entered = threading.Event()

    def enter() -> None:
        with room.of(large):
            entered.set()

    with room.of(small):
        thread = threading.Thread(target=enter, daemon=True)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join(10)


def test_a_task_that_is_larger_than_the_memory_has_it_to_itself() -> None:
    with Room(1).of(task(CONV)):
        pass
    with Room(None).of(task(CONV)), Room(None).of(task(CONV)):
        pass


def test_only_one_process_at_a_time_has_its_turn(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    others = [context.Process(target=take_turns, args=(tmp_path, log)) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    words = log.read_text().split()
    assert words == ["in", "out"] * 15


def take_turns(folder: Path, log: Path) -> None:
    turn = Turn("GPU-0", folder)
    for _ in range(5):
        with turn, log.open("a") as file:
            file.write("in ")
            file.flush()
            time.sleep(0.002)
            file.write("out ")


def test_a_turn_waits_for_the_one_before(tmp_path: Path) -> None:
    first, second = Turn("GPU-0", tmp_path), Turn("GPU-0", tmp_path)
    entered = threading.Event()

    def wait() -> None:
        with second:
            entered.set()

    with first:
        thread = threading.Thread(target=wait)
        thread.start()
        assert not entered.wait(0.2)
    thread.join(5)
    assert entered.is_set()


@pytest.mark.alone
def test_ctrl_c_ends_every_worker_at_once(tmp_path: Path) -> None:
    code = (
        "from measure.chains import CONV, FUSED, RELU, task; from headroom.measure.crew import Crew\n"
        "with Crew(size=3) as crew: list(crew.measure(task(chain) for chain in (CONV, FUSED, RELU)))"
    )
    bench = script({"how": "hang", "plan": 0}, turns=str(tmp_path))
    variables = environment(HEADROOM_BENCH=bench, PYTHONPATH=str(Path(__file__).resolve().parents[1]))
    with subprocess.Popen([sys.executable, "-c", code], env=variables, stderr=subprocess.DEVNULL) as parent:
        deadline = time.monotonic() + 20.0
        while len(workers := workers_of(parent.pid)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.5)
        begin = time.monotonic()
        parent.send_signal(signal.SIGINT)
        parent.wait(5.0)
        assert time.monotonic() - begin < 2.0
    wait_until_gone(workers, within_s=0.5)
