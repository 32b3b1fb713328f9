"""``headroom profile`` as a user runs it, on the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Headroom
from headroom.measure.profiles.reading import read_profile

CALLABLE = """
import torch

def make():
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU()), torch.zeros(1, 6)
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("torch")
    (tmp_path / "a_profiled_net.py").write_text(CALLABLE)
    monkeypatch.chdir(tmp_path)
    return "a_profiled_net:make"


def test_a_profile_is_written_where_nobody_said_under_the_models_name(
    headroom: Headroom, address: str, tmp_path: Path
) -> None:
    outcome = headroom("profile", address, "--device", "cpu", "--steps", 2, "--batch", 3)
    assert outcome.code == 0, outcome.err
    assert "2 steps on the host; a step makes" in outcome.out
    assert "wrote make.trace.json.gz" in outcome.out
    read = read_profile(tmp_path / "make.trace.json.gz")
    assert read.steps[0].calls[0].operands[0].dims == (3, 6)


def test_one_profile_is_of_one_batch_and_one_data_type(headroom: Headroom) -> None:
    for option, value in (("--batch", "1,2"), ("--dtype", "bf16,fp32")):
        outcome = headroom("profile", "net:make", "--device", "cpu", option, value)
        assert outcome.code == 2
        assert f"{option} takes one value here" in outcome.err


def test_a_mode_that_nobody_knows_is_refused_with_the_choices(headroom: Headroom) -> None:
    outcome = headroom("profile", "net:make", "--device", "cpu", "--mode", "warp", "--channels-last")
    assert outcome.code == 2
    assert "channels-last cuda-graph" in outcome.err
