"""The worker process and its client: whatever kills a worker costs one implementation (promises 11, 12 and 13)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headroom.errors import GpuError, UsageError
from headroom.measure import protocol
from headroom.measure.client import Worker
from headroom.measure.visit import Budgets
from headroom.store.rows import Status, Timing
from headroom.store.steps import OPERANDS, REST
from measure.chains import CONV, RELU, script, task
from measure.processes import children_of, is_alive, wait_for_worker, wait_until_gone, workers_of

#: Replacement is promised within this; the fake starts in a fraction of it.
REPLACED_WITHIN_S = 5.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture(autouse=True)
def no_child_left() -> object:
    before = set(children_of(os.getpid()))
    yield
    assert set(children_of(os.getpid())) <= before


def measured(monkeypatch: pytest.MonkeyPatch, text: str, budgets: Budgets | None = None) -> tuple[Timing, ...]:
    monkeypatch.setenv("HEADROOM_BENCH", text)
    with Worker(budgets=budgets) as worker:
        return worker.measure(task())


def by_plan(rows: tuple[Timing, ...], l2: str = "warm") -> dict[str, Timing]:
    return {row.implementation.name: row for row in rows if row.l2 == l2}


@pytest.mark.alone
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("abort", "the process was ended by SIGABRT"),
        ("exit", "exit code 3: fake: the library called exit"),
        ("garbage", "something else than messages"),
        ("flood", "something else than messages"),
        ("poison", "illegal memory access"),
    ],
)
def test_a_plan_that_takes_the_process_along_costs_one_plan(
    monkeypatch: pytest.MonkeyPatch, how: str, says: str
) -> None:
    begin = time.monotonic()
    rows = by_plan(measured(monkeypatch, script({"how": how, "plan": 1})))
    assert time.monotonic() - begin < 2 * REPLACED_WITHIN_S
    assert rows["plan1"].status is Status.FAILED
    assert says in rows["plan1"].reason
    assert len(rows) == 6
    assert {row.status for name, row in rows.items() if name != "plan1"} == {Status.OK}


def test_a_plan_that_hangs_costs_its_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = by_plan(measured(monkeypatch, script({"how": "hang", "plan": 1}), Budgets(plan_s=0.5)))
    assert rows["plan1"].status is Status.TIMEOUT
    assert rows["plan1"].reason == "it did not end within 0.5 s"
    assert {row.status for name, row in rows.items() if name != "plan1"} == {Status.OK}


@pytest.mark.alone
def test_a_worker_is_replaced_within_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "abort", "plan": 0}))
    with Worker() as worker:
        worker.facts()
        begin = time.monotonic()
        rows = by_plan(worker.measure(task()))
        assert time.monotonic() - begin < REPLACED_WITHIN_S
        assert worker.replaced == 1
    assert rows["plan5"].status is Status.OK


def test_plans_that_fail_in_every_way_leave_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = ["build", "abort", "garbage", "hang", "poison", "oom"]
    faults = [{"how": how, "plan": plan} for plan, how in enumerate(ways)]
    rows = by_plan(measured(monkeypatch, script(*faults, plans=8), Budgets(plan_s=0.5)))
    expected = [Status.FAILED] * 3 + [Status.TIMEOUT, Status.FAILED, Status.OOM]
    assert [rows[f"plan{i}"].status for i in range(6)] == expected
    assert rows["plan6"].status is rows["plan7"].status is Status.OK


@pytest.mark.alone
def test_a_layer_never_takes_longer_than_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [{"how": "hang", "plan": plan} for plan in range(6)]
    begin = time.monotonic()
    rows = measured(monkeypatch, script(*faults), Budgets(plan_s=0.5, layer_s=1.5))
    assert time.monotonic() - begin < 4.0
    assert all(row.status is Status.TIMEOUT for row in rows)
    assert any(row.implementation == REST for row in rows)


def test_a_layer_that_does_not_fit_is_a_row_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script({"how": "oom", "chain": "relu"}))
    with Worker() as worker:
        (row,) = worker.measure(task(RELU))
        assert (row.implementation, row.status) == (OPERANDS, Status.OOM)
        assert row.needed_bytes is not None
        assert row.free_bytes is not None
        assert any(row.status is Status.OK for row in worker.measure(task(CONV)))
        assert worker.replaced == 0


@pytest.mark.parametrize("how", ["abort", "garbage"])
def test_operands_that_kill_the_process_cost_their_layer(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    (row,) = measured(monkeypatch, script({"how": how}))
    assert (row.implementation, row.status) == (OPERANDS, Status.FAILED)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("refuse", "there is no GPU 0; headroom gpus list shows the known ones"),
        ("exit", "cannot start: the process ended with exit code 3: fake: the library called exit"),
        ("hang", "was not ready within 0.5 s"),
    ],
)
def test_a_worker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, start: str, says: str) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(start=start))
    with Worker(budgets=Budgets(start_s=0.5 if start == "hang" else 20.0)) as worker, pytest.raises(GpuError) as raised:
        worker.measure(task())
    assert says in str(raised.value)


def test_a_bench_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", "fake:{'plans': 6}")
    with Worker() as worker, pytest.raises(UsageError, match="no script for the fake GPU"):
        worker.facts()


def test_without_a_gpu_the_worker_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADROOM_BENCH", raising=False)
    with Worker(gpu=7) as worker, pytest.raises(GpuError) as raised:
        worker.facts()
    assert str(raised.value)


def test_the_worker_dies_with_a_parent_that_is_killed() -> None:
    code = (
        "from measure.chains import task; from headroom.measure.client import Worker\n"
        "with Worker() as worker: worker.facts(); worker.measure(task())"
    )
    environment = os.environ | {
        "HEADROOM_BENCH": script({"how": "hang", "plan": 0}),
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:
        worker = wait_for_worker(parent.pid)
        time.sleep(0.5)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until_gone([worker], within_s=2.0)


def test_a_worker_that_nobody_asks_anything_ends_with_its_parent() -> None:
    code = "import os\nfrom headroom.measure.client import Worker\nWorker().facts()\nos._exit(0)"
    environment = os.environ | {"HEADROOM_BENCH": "fake"}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:
        worker = wait_for_worker(parent.pid)
        parent.wait()
    wait_until_gone([worker], within_s=2.0)


def test_messages_survive_the_way() -> None:
    facts = protocol.facts_from_json
    with pytest.raises(protocol.GarbageError):
        facts({"system": {}})
    with pytest.raises(protocol.GarbageError):
        protocol.timing_from_json({"status": "ok"})
    for line in (b"{}", b"[]\n", b"\xff\n", b"[" * 100_000 + b"\n"):
        with pytest.raises(protocol.GarbageError):
            protocol.decode(line)


def test_workers_are_found_by_their_command() -> None:
    assert workers_of(os.getpid()) == []
    assert is_alive(os.getpid())
