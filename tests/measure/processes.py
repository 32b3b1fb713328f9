"""Which processes are there, and what they were started as."""

from __future__ import annotations

import os
import time
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether ``pid`` runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid and is_alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def workers_of(pid: int) -> list[int]:
    """The children of ``pid`` that measure."""
    return [child for child in children_of(pid) if b"headroom.measure.worker" in _command(child)]


def wait_until_gone(pids: list[int], within_s: float) -> float:
    """Seconds until none of ``pids`` lived; fails after ``within_s``."""
    begin = time.monotonic()
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() - begin < within_s, f"still alive: {[pid for pid in pids if is_alive(pid)]}"
        time.sleep(0.01)
    return time.monotonic() - begin


def wait_for_worker(pid: int, within_s: float = 20.0) -> int:
    begin = time.monotonic()
    while not (found := workers_of(pid)):
        assert time.monotonic() - begin < within_s, "no worker started"
        assert is_alive(pid), "it ended before it started a worker"
        time.sleep(0.005)
    return found[0]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, **variables}
