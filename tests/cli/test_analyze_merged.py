"""Two machines' databases in one: ``headroom analyze --gpu A --gpu B`` answers for each from its own rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headroom as hr
from headroom.store.store import Store
from measured_rows import SYSTEM
from recorded import model_parts, record, sweep

A100 = replace(SYSTEM, gpu="NVIDIA A100-SXM4-80GB")
QUESTION = ("--dtype", "bf16", "--source", "measured")


@pytest.fixture(scope="module")
def machines(example: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One machine's measurements of the model each; the A100 takes twice as long."""
    folder, graph = tmp_path_factory.mktemp("rows"), hr.load(example)
    slow = folder / "a100.sqlite"
    with Store.open(slow) as store:
        for chain in model_parts(graph):
            store.record(sweep(chain, A100, factor=2.0))
    return {"h200": record(folder / "h200.sqlite", graph), "a100-80gb-sxm": slow}


@pytest.fixture
def merged(headroom, machines: dict[str, Path], tmp_path: Path) -> Path:
    """What the command makes of both."""
    database = tmp_path / "lab.sqlite"
    for file in machines.values():
        assert headroom("db", "merge", file, "--db", database).code == 0
    return database


def test_each_gpu_is_answered_for_from_its_own_rows_side_by_side(
    headroom, example: Path, machines: dict[str, Path], merged: Path
) -> None:
    gpus = [word for gpu in machines for word in ("--gpu", gpu)]
    both = headroom("analyze", example, *gpus, *QUESTION, "--db", merged, "--json", "-")
    assert (both.code, both.err) == (0, "")
    answers: list[dict[str, Any]] = json.loads(both.out)
    for gpu, answer in zip(machines, answers, strict=True):
        alone = headroom("analyze", example, "--gpu", gpu, *QUESTION, "--db", machines[gpu], "--json", "-")
        expected = json.loads(alone.out)
        assert answer["gpu"] == expected["gpu"]
        assert answer["layers"] == expected["layers"]
        assert answer["bounds"] == expected["bounds"]
    fast, slow = answers
    assert fast["bounds"]["sequential_us"] < slow["bounds"]["sequential_us"]


def test_both_stand_beside_each_other_in_the_terminal_and_on_the_page(
    headroom, example: Path, machines: dict[str, Path], merged: Path, tmp_path: Path
) -> None:
    gpus = [word for gpu in machines for word in ("--gpu", gpu)]
    shown = headroom("analyze", example, *gpus, *QUESTION, "--db", merged, "--html", tmp_path / "both.html")
    assert shown.code == 0
    page = (tmp_path / "both.html").read_text()
    for system in (SYSTEM, A100):
        assert system.id in page
        assert system.id in shown.out
