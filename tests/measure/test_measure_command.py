"""``headroom measure`` as a whole, on a GPU that is not there (promises 1, 2, 12, 13 and 18)."""

from __future__ import annotations

import os
import pty
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from headroom.graph.tensor import DataType
from headroom.measure.fake_script import Script, fake_facts
from headroom.store.rows import Status
from headroom.store.store import Store
from measure.chains import script
from measure.processes import children_of, environment, wait_for_worker, wait_until_gone, workers_of

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "resnet50.onnx"

#: Distinct layers and fusible parts of the model.
TASKS = 78

#: Slow enough to be killed in the middle, fast enough for a test: some 3 s for the model, for any crew.
SLOW = {"plans": 2, "plan_s": 0.002, "turns": tempfile.gettempdir()}

#: Promised for the time between Ctrl-C and the end of the parent; the rest is for a busy machine.
GONE_WITHIN_S = 2.0

SYSTEM = fake_facts(Script()).system

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "measurements.sqlite"


def command(database: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "headroom", "measure", str(MODEL), "--db", str(database), *options]


def measure(database: Path, bench: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(database, *options),
        env=environment(HEADROOM_BENCH=bench),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def started(database: Path, bench: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(database, *options),
        env=environment(HEADROOM_BENCH=bench),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(database: Path, dtype: str = "bf16") -> frozenset[str]:
    if not database.exists():
        return frozenset()
    with Store.open(database) as store:
        return store.finished(SYSTEM, DataType(dtype), "all")


def rows(database: Path, digests: frozenset[str]) -> dict[str, object]:
    with Store.open(database) as store:
        return {digest: store.timings(digest, SYSTEM, DataType.BF16) for digest in digests}


def is_intact(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def known_before(output: str) -> int:
    found = re.search(r"(\d+) known before", output)
    return int(found[1]) if found else 0


def wait_for_layers(database: Path, least: int, dtype: str = "bf16") -> frozenset[str]:
    deadline = time.monotonic() + 30.0
    while len(done := finished(database, dtype)) < least:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return done


def test_it_measures_every_layer_and_says_what_came_of_it(database: Path) -> None:
    done = measure(database, script(plans=2))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(finished(database)) == TASKS
    assert f"{TASKS} layers measured" in done.stdout
    assert "Fake GPU" in done.stdout


def test_with_nothing_to_do_it_starts_no_worker(database: Path) -> None:
    measure(database, script(plans=2))
    again = measure(database, script(plans=2, start="refuse"))
    assert again.returncode == 0, again.stderr
    assert re.search(rf"\b0 layers measured in \d+ s, {TASKS} known before", again.stdout)


def test_another_system_knows_nothing_of_it(database: Path) -> None:
    measure(database, script(plans=2))
    other = measure(database, script(plans=2, libraries="2"))
    assert f"{TASKS} layers measured" in other.stdout
    assert "known before" not in other.stdout


def killed_at_some_moment(database: Path, moment: random.Random, *dtypes: str) -> dict[str, frozenset[str]]:
    """Runs that are killed in the middle; what was seen in the database before."""
    runs = [started(database, script(**SLOW), "--dtype", dtype) for dtype in dtypes]
    seen = {dtype: wait_for_layers(database, 1, dtype) for dtype in dtypes}
    time.sleep(moment.uniform(0.0, 1.0))
    seen = {dtype: finished(database, dtype) for dtype in dtypes}
    workers = [child for run in runs for child in children_of(run.pid)]
    for run in runs:
        run.kill()
        run.communicate()
    wait_until_gone(workers, within_s=GONE_WITHIN_S)
    return seen


def test_a_killed_run_resumes_where_it_stopped(database: Path, tmp_path: Path) -> None:
    seen = killed_at_some_moment(database, random.Random(), "bf16")["bf16"]
    assert is_intact(database)
    left = finished(database)
    assert seen <= left
    before = rows(database, left)
    assert 0 < len(left) < TASKS
    again = measure(database, script(**SLOW))
    assert again.returncode == 0, again.stderr
    assert known_before(again.stdout) == len(left)
    assert rows(database, left) == before
    assert len(finished(database)) == TASKS


def kill_round(database: Path, seed: int) -> None:
    dtypes = ("bf16", "tf32")
    before = {dtype: finished(database, dtype) for dtype in dtypes}
    if any(len(done) == TASKS for done in before.values()):
        database.unlink()
    seen = killed_at_some_moment(database, random.Random(seed), *dtypes)
    assert is_intact(database)
    for dtype in dtypes:
        # No finished layer is lost; at most the one in flight was written after the last look.
        assert seen[dtype] <= finished(database, dtype)


def test_kills_at_random_lose_no_finished_layer(database: Path) -> None:
    for seed in range(2):
        kill_round(database, seed)


@pytest.mark.long
def test_forty_kills_at_random_lose_no_finished_layer(database: Path) -> None:
    for seed in range(40):
        kill_round(database, seed)


@pytest.mark.alone
@pytest.mark.parametrize("bench", [script(**SLOW), script({"how": "hang", "plan": 0})], ids=["at work", "hanging"])
def test_ctrl_c_ends_everything_at_once(database: Path, bench: str) -> None:
    run = started(database, bench)
    wait_for_worker(run.pid)
    time.sleep(1.0)
    workers = workers_of(run.pid)
    begin = time.monotonic()
    run.send_signal(signal.SIGINT)
    output, complaint = run.communicate(timeout=GONE_WITHIN_S)
    assert time.monotonic() - begin < GONE_WITHIN_S
    wait_until_gone(workers, within_s=0.5)
    assert run.returncode == 130
    assert complaint == "headroom: interrupted\n"
    assert f"of {TASKS} layers are kept; run the same again to go on" in output


def test_every_kind_of_failure_costs_one_plan_and_the_run_goes_on(database: Path) -> None:
    ways = ["abort", "garbage", "poison", "build", "wrong", "oom"]
    faults = [{"how": how, "plan": plan, "chain": "max"} for plan, how in enumerate(ways)]
    done = measure(database, script(*faults, plans=len(ways) + 1))
    assert done.returncode == 0, done.stderr
    assert "3 workers died or hung and had to be replaced" in done.stdout
    assert "5 failed" in done.stdout
    assert "1 oom" in done.stdout
    assert len(finished(database)) == TASKS


def test_a_layer_without_any_time_is_said(database: Path) -> None:
    done = measure(database, script({"how": "oom", "chain": "max"}, plans=2))
    assert done.returncode == 0
    assert "1 without a time that counts" in done.stdout


def test_a_budget_leaves_the_rest_for_the_next_run(database: Path) -> None:
    first = measure(database, script(**SLOW | {"plan_s": 0.02}), "--budget", "3s")
    left = re.search(r"(\d+) left for the next run", first.stdout)
    assert left is not None
    second = measure(database, script(plans=2))
    assert f"{left[1]} layers measured" in second.stdout
    assert known_before(second.stdout) == TASKS - int(left[1])


def test_the_most_valuable_layer_is_measured_whatever_the_budget(database: Path) -> None:
    done = measure(database, script(plans=2), "--budget", "0.01s")
    assert re.search(rf"\b1 layer measured in \d+ s, {TASKS - 1} left for the next run", done.stdout)


def test_what_failed_is_tried_again_where_that_is_wanted(database: Path) -> None:
    assert "1 without a time that counts" in measure(database, script({"how": "oom", "chain": "max"})).stdout
    assert f"{TASKS} known before" in measure(database, script()).stdout
    again = measure(database, script(), "--again", "failed")
    assert re.search(rf"\b1 layer measured in \d+ s, {TASKS - 1} known before", again.stdout)
    assert "known before" not in measure(database, script(plans=1), "--again", "all").stdout


def test_two_runs_into_one_database_divide_the_work(database: Path) -> None:
    runs = [started(database, script(plans=2, plan_s=0.02)) for _ in range(2)]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    measured = [int(re.search(r"(\d+) layers? measured", output)[1]) for output in outputs]  # type: ignore[index]
    assert len(finished(database)) == TASKS
    # Twice is what both were at when they began, and what they happened to pick at once.
    assert TASKS <= sum(measured) <= TASKS + TASKS // 2
    # A run that started late may have found some of it, or all, done before.
    assert any(re.search("measured by another run meanwhile|known before", output) for output in outputs)


def test_a_busy_gpu_is_refused_and_shared_only_on_request(database: Path) -> None:
    bench = script(plans=2, processes=[[4242, "/usr/bin/python"], [4243, "/usr/bin/python"]])
    refused = measure(database, bench)
    assert refused.returncode == 4
    assert refused.stderr.startswith("headroom: GPU 0 (Fake GPU) is busy: process 4242 (python), 4243 (python)")
    assert finished(database) == frozenset()
    shared = measure(database, bench, "--shared")
    assert shared.returncode == 0, shared.stderr
    with Store.open(database) as store:
        (digest, *_) = finished(database)
        found = store.timings(digest, SYSTEM, DataType.BF16)
    assert all(row.reason.startswith("on a shared GPU: ") for row in found if row.status is Status.OK)


@pytest.mark.parametrize(
    ("bench", "code", "says"),
    [
        (script(start="refuse"), 4, "there is no GPU 0"),
        (script(start="exit"), 4, "cannot start: the process ended with exit code 3"),
        ("fake:{", 2, "no script for the fake GPU"),
        ("real", 2, "expected fake"),
    ],
)
def test_what_cannot_start_is_one_line(database: Path, bench: str, code: int, says: str) -> None:
    done = measure(database, bench)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--dtype", "bf17"), "--dtype 'bf17': expected one of fp32, tf32, fp16, bf16, fp8"),
        (("--budget", "soon"), "--budget 'soon': expected a time such as 60s, 5m or 2h"),
        (("--direction", "sideways"), "--direction"),
    ],
)
def test_a_wrong_option_is_named(database: Path, options: tuple[str, ...], says: str) -> None:
    done = measure(database, "fake", *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert not database.exists()


def test_the_parent_loads_neither_pytorch_nor_cuda(database: Path) -> None:
    code = (
        "import sys; from headroom.cli.main import run\n"
        f"assert run(['measure', {str(MODEL)!r}, '--db', {str(database)!r}, '-q']) == 0\n"
        "print([name for name in ('torch', 'cudnn', 'cuda', 'nvmath', 'onnx') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(HEADROOM_BENCH="fake"), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.fixture(autouse=True)
def no_data_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_who_watches_sees_an_estimate(database: Path) -> None:
    terminal, stderr = pty.openpty()
    run = subprocess.Popen(
        command(database),
        env=environment(HEADROOM_BENCH=script(plans=2, plan_s=0.005), TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    os.close(stderr)
    shown = b""
    with suppress(OSError):  # what a terminal says when its last writer has gone
        while part := os.read(terminal, 4096):
            shown += part
    os.close(terminal)
    run.communicate(timeout=30)
    assert run.returncode == 0
    assert f"/{TASKS}".encode() in shown
    assert re.search(rb"about \d+ s left: ", shown)


def test_nobody_sees_a_bar_in_a_file(database: Path) -> None:
    assert measure(database, script(plans=2)).stderr == ""


def test_quiet_is_quiet(database: Path) -> None:
    done = measure(database, script(plans=2), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_plans_cover_the_heuristic_ones_and_not_the_other_way_round(database: Path) -> None:
    measure(database, script(plans=3), "--plans", "heuristic")
    everything = measure(database, script(plans=3))
    assert "known before" not in everything.stdout
    assert "0 layers measured" in measure(database, script(plans=3), "--plans", "heuristic").stdout


def test_training_measures_the_gradients_too(database: Path) -> None:
    measure(database, script(plans=1))
    training = measure(database, script(plans=1), "--direction", "training")
    assert known_before(training.stdout) == TASKS
    assert int(training.stdout.split(" layers measured")[0].split("\n")[-1]) >= 40
