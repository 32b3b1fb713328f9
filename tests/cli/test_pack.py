"""``headroom pack``: one command from a network to packed weights."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from headroom.report.packing import schema

pytest.importorskip("torch")

NETS = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, 256)), torch.zeros(1, 2048)

def data():
    yield from torch.randn(3, 4, 2048, generator=torch.Generator().manual_seed(1))

def quality(network):
    return 1
"""


@pytest.fixture(autouse=True)
def _nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    (tmp_path / "pack_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "pack_nets", raising=False)
    with torch.random.fork_rng(devices=[]):
        yield


OPTIONS = ("pack", "pack_nets:net", "--gpu", "h200", "--formats", "int8,int4_g128", "--calibration", "pack_nets:data")


def test_a_plan_in_the_terminal_and_as_json(headroom, tmp_path: Path) -> None:
    outcome = headroom(*OPTIONS, "--json", tmp_path / "plan.json")

    assert outcome.code == 0, outcome.err
    assert "2 of 2 layers packed" in outcome.out
    assert "not timed here" in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.splitlines())
    plan = json.loads((tmp_path / "plan.json").read_text())
    jsonschema.Draft202012Validator(schema()).validate(plan)
    assert plan["batch"] == 1
    assert plan["calibration"] == "3 batches of pack_nets:data"
    assert plan["output_error"] <= plan["budget"]
    assert not (tmp_path / "weights.pt").exists()


def test_apply_writes_a_network_that_loads(headroom, tmp_path: Path) -> None:
    outcome = headroom(*OPTIONS, "--metric", "pack_nets:quality", "--max-loss", "0", "--apply", "--out", "made", "-q")

    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"packing.json", "weights.pt"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--apply",), "give both or neither"),
        (("--batch", "1,2"), "one at a time"),
        (("--formats", "int3"), "no format is called 'int3'"),
        (("--calibration", "pack_nets:nothing"), "no attribute 'nothing'"),
        (("--max-output-error", "7"), "is no budget"),
    ],
)
def test_what_cannot_be_is_one_line(headroom, options: tuple[str, ...], said: str) -> None:
    outcome = headroom(*OPTIONS, *options)

    assert outcome.code in (2, 3)
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
