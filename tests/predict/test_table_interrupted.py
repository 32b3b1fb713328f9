"""A large table whose command is interrupted or killed: nothing of it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.skipif(os.cpu_count() == 1, reason="one core answers a table in one process"),
]

#: What a user waits for at the most until everything has ended.
PATIENCE_S = 2.0


@pytest.fixture
def command(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``headroom predict`` at work on a table that takes several processes a while."""
    table = tmp_path / "table.csv"
    table.write_text("op,m,n,k,dtype\n" + "".join(f"matmul,{i},768,1024,bf16\n" for i in range(1, 400_000)))
    run = [sys.executable, "-m", "headroom", "predict", str(table), "--gpu", "h200", "--out", str(tmp_path / "out.csv")]
    with subprocess.Popen(run, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        process.kill()


def living(pids: set[int]) -> set[int]:
    return {pid for pid in pids if state(pid)[0] not in "ZX"}


def state(pid: int) -> tuple[str, int]:
    """A process's state and its parent; one that is gone is dead, and nobody's."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[1])


def left_after(children: set[int], deadline: float) -> set[int]:
    """Those of the children that still live when the time of ``time.monotonic()`` has come."""
    while living(children) and time.monotonic() < deadline:
        time.sleep(0.02)
    return living(children)


def children_of(parent: int) -> set[int]:
    """Its children, once there are two: it has begun by then."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = {int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and state(int(p.name))[1] == parent}
        if len(living(found)) > 1:
            return found
        time.sleep(0.02)
    raise AssertionError("no children")


@pytest.mark.parametrize("after_s", [0.0, 1.0])
def test_ctrl_c_ends_the_command_and_its_children_within_two_seconds(
    command: subprocess.Popen[str], tmp_path: Path, after_s: float
) -> None:
    children = children_of(command.pid)
    time.sleep(after_s)
    deadline = time.monotonic() + PATIENCE_S
    os.killpg(command.pid, signal.SIGINT)
    assert (command.wait(PATIENCE_S), left_after(children, deadline)) == (130, set())
    assert command.stderr is not None
    assert command.stderr.read() == "headroom: interrupted\n"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_a_command_that_is_killed(command: subprocess.Popen[str], how: signal.Signals) -> None:
    children = children_of(command.pid)
    time.sleep(1.0)
    command.send_signal(how)
    command.wait(PATIENCE_S)
    assert left_after(children, time.monotonic() + PATIENCE_S) == set()
