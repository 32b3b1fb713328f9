"""``headroom selftest``: what a user sees, with a stopwatch whose error is known in place of a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom.errors import GpuError
from headroom.measure import trust
from measure_kernels.stand_ins import BenchStandIn


def answers(monkeypatch: pytest.MonkeyPatch, bench: BenchStandIn, *, noticed: bool) -> None:
    """Let jobs answer what ``bench`` sees, through JSON as the worker does."""

    def run_job(name: str, arguments: dict, *, gpu: int, on_progress: Callable | None = None) -> dict:
        if name == "poison":
            return {"noticed": noticed, "reason": "an illegal memory access was encountered"}
        return json.loads(json.dumps(bench.run().to_json()))

    monkeypatch.setattr(trust, "run_job", run_job)


def test_the_command_prints_a_table_and_ends_well(headroom, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers(monkeypatch, BenchStandIn(), noticed=True)
    outcome = headroom("selftest", "--json", tmp_path / "seen.json")
    assert outcome.code == 0, outcome.err
    assert "WRONG" not in outcome.out
    assert outcome.out.count("right") >= 16 + 5
    assert "a lost context is noticed" in outcome.out
    assert json.loads((tmp_path / "seen.json").read_text())["passed"] is True


def test_the_command_ends_with_code_4_where_a_reading_is_wrong(headroom, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, BenchStandIn(factor=1.2), noticed=True)
    outcome = headroom("selftest")
    assert outcome.code == GpuError.exit_code == 4
    assert "WRONG" in outcome.out
    assert outcome.err.count("\n") == 1
    assert "read as" in outcome.err


def test_the_command_ends_with_code_4_where_a_lost_context_goes_unnoticed(headroom, monkeypatch) -> None:
    answers(monkeypatch, BenchStandIn(), noticed=False)
    outcome = headroom("selftest", "--json", "-")
    assert outcome.code == 4
    assert json.loads(outcome.out)["passed"] is False
    assert "a lost context is noticed" in outcome.err


def test_without_a_gpu_the_command_says_so_in_one_line(headroom) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    outcome = headroom("selftest")
    assert outcome.code == 4
    assert outcome.err.count("\n") == 1
    assert "GPU" in outcome.err
