"""The page of a network's recorded figures: made of the export alone, every run and every counted layer on it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from headroom.gpu.sheets import load_gpu
from headroom.store.imported import JsonSource
from headroom.store.rows import Status

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "benchmarks" / "results" / "h200_network.json"


def test_the_page_shows_every_run_and_every_counted_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import network_page

    source = JsonSource(EXPORT)
    runs = [run for _, run in source.networks()]
    system = next(system for system, _ in source.networks())
    layers = network_page.counted_layers(source, load_gpu("h200"))
    page = network_page.text(system, runs, layers)
    assert {run.mode for run in runs if run.status is Status.OK} <= set(re.findall(r"^\| ([a-z -]+) \| \d", page, re.M))
    assert len(layers) == sum(len(record.counters) for record in source.records()) > 0
    assert len(re.findall(r"^\| .*→|^\| \w+ \d+×.* `", page, re.M)) == len(layers)


def test_a_recorded_network_holds_no_place_of_the_machine_that_ran_it() -> None:
    assert {run.model for _, run in JsonSource(EXPORT).networks()} == {"resnet50"}
    assert not re.search(r'"/|\.onnx|/home|/root|/tmp', EXPORT.read_text("utf-8"))
