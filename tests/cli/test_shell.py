"""Around the commands: shell completion, and a progress bar that knows when to be silent."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headroom.cli import progress as bars


def test_bash_completes_gpu_ids() -> None:
    environment = os.environ | {
        "_HEADROOM_COMPLETE": "complete_bash",
        "COMP_WORDS": "headroom analyze model.onnx --gpu h1",
        "COMP_CWORD": "4",
    }
    headroom = Path(sys.executable).with_name("headroom")
    done = subprocess.run([headroom], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["h100-pcie", "h100-sxm"]


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch, *, patience_s: float, quiet: bool = False) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(bars, "PATIENCE_S", patience_s)
    with bars.progress(2, quiet=quiet) as step:
        step("reading model.onnx")
        time.sleep(0.3)
        step("analysing")
    return terminal.getvalue()


def test_long_work_shows_what_it_is_doing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "reading model.onnx" in watched(monkeypatch, patience_s=0.0)


def test_short_or_quiet_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, patience_s=5.0) == ""
    assert watched(monkeypatch, patience_s=0.0, quiet=True) == ""


def test_nothing_is_drawn_into_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    monkeypatch.setattr(bars, "PATIENCE_S", 0.0)
    with bars.progress(1) as step:
        step("reading")
        time.sleep(0.1)
    assert pipe.getvalue() == ""
