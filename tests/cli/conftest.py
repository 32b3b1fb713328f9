"""The command line as a user runs it: in this process for speed, with its exit code and both streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from headroom.cli.main import run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Headroom = Callable[..., Outcome]


@pytest.fixture
def headroom(capfd: pytest.CaptureFixture[str]) -> Headroom:
    """Run ``headroom`` with these arguments."""

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture(scope="session")
def example() -> Path:
    return EXAMPLE
