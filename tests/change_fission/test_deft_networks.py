"""The script that times whole networks of the paper: what it would time, what it builds, and how it goes on."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
import deft_networks
import deft_ways
from deft_networks import BEST, Row, rows, run


def macs(layers) -> int:
    return sum(each.outputs * each.columns * each.size_out**2 for each in layers)


@pytest.mark.parametrize(("network", "gmacs"), [("AlexNet", 0.714), ("VGG16", 15.47)])
def test_the_networks_are_those_of_the_papers(network, gmacs):
    layers = deft_ways.layers_of(network)

    assert macs(layers) / 1e9 == pytest.approx(gmacs, rel=0.002)
    assert layers[-1].outputs == 1000
    assert deft_ways.layers_of(network, 20)[-1].outputs == 20
    narrow = deft_ways.narrowed(network, layers)
    assert 0.24 < macs(narrow) / macs(layers) < 0.33, "half of the channels, and the filters that made them"
    assert (narrow[0].channels, narrow[-1].outputs) == (3, 1000)


def test_both_kinds_are_timed_at_every_batch_in_fp32_and_bf16_and_sums_of_plans_last():
    found = list(rows())

    assert {(row.network, row.batch, row.dtype) for row in found if row.way == "dense"} == {
        (network, batch, dtype)
        for network in ("AlexNet", "VGG16") for batch in (1, 32, 128) for dtype in ("fp32", "bf16")
    }  # fmt: skip
    assert [row.way == BEST for row in found] == sorted(row.way == BEST for row in found)
    assert not [row for row in found if row.way.startswith("near") and row.dtype != "fp32"]
    assert {row.way for row in found} == {*deft_ways.ways("AlexNet"), BEST}


def test_a_failing_way_is_a_line_with_its_reason_and_a_second_run_goes_on(tmp_path):
    path, wanted = tmp_path / "rows.jsonl", list(rows("slim", "AlexNet"))[:3]

    def timer(row: Row):
        if row.way == "dense":
            raise RuntimeError("no such kernel")
        return {"time_us": 1.0}

    assert run(path, wanted[:2], timer, "one", 60) == 0
    assert run(path, wanted, timer, "one", 60) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 3
    assert lines[0]["why"] == "RuntimeError: no such kernel"
    assert run(path, wanted, timer, "another", -1) == 3, "nothing is begun once the time is over"


def test_a_slim_network_runs(monkeypatch):
    monkeypatch.setattr(deft_networks, "ways", lambda name: {"slim": deft_ways.ways(name)["slim, filters too"]})

    assert deft_networks.rehearse() == {"slim": [1, 1000]}
