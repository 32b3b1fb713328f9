"""Measuring a staircase: a quarter of the widths, each kept as it is done, on a GPU that is not there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import headroom as hr
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.measuring import Stopwatch
from headroom.errors import GpuError
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.fake_script import VARIABLE, Script, fake_facts
from headroom.predict.prediction import Source
from headroom.store.rows import Timing
from headroom.store.store import Store

CONV = "c=512,h=64,w=64,k=64:512"
SYSTEM = fake_facts(Script()).system


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _pretend(monkeypatch)
    return tmp_path / "m.sqlite"


def _pretend(monkeypatch: pytest.MonkeyPatch, **script: object) -> None:
    monkeypatch.setenv(VARIABLE, "fake:" + json.dumps({"plans": 2, **script}))


def _finished(database: Path) -> int:
    with Store.open(database, read_only=True) as store:
        return len(store.finished(SYSTEM, DataType.BF16, "all"))


def _rows(database: Path) -> list[Timing]:
    with Store.open(database, read_only=True) as store:
        chains = sorted(store.finished(SYSTEM, DataType.BF16, "all"))
        return [row for digest in chains for row in store.timings(digest, SYSTEM, DataType.BF16)]


def test_a_quarter_of_the_widths_is_measured_and_the_rest_interpolated(database: Path) -> None:
    answer = hr.measure_staircase(conv=CONV, gpu="h200", db=database)
    points = answer.layers[0].readings[0].staircase.points
    measured = [point for point in points if point.source is Source.MEASURED]
    assert len(points) == 57
    assert 2 <= len(measured) <= 57 / 4
    assert len(measured) == _finished(database)
    assert {point.source for point in points} == {Source.MEASURED, Source.INTERPOLATED}
    assert answer.system == SYSTEM.title


def test_a_second_run_measures_nothing_again(database: Path) -> None:
    asked: list[int] = []
    first = hr.measure_staircase(conv=CONV, gpu="h200", db=database, on_width=asked.append)
    before = _rows(database)
    assert hr.measure_staircase(conv=CONV, gpu="h200", db=database) == first
    assert _rows(database) == before
    assert len(asked) == _finished(database)


def test_every_input_width_has_a_search_of_its_own(database: Path) -> None:
    answer = hr.measure_staircase(conv="c=256:512:256,h=16,w=16,k=64:256:16", gpu="h200", db=database)
    for reading in answer.layers[0].readings:
        sources = [point.source for point in reading.staircase.points]
        assert 2 <= sources.count(Source.MEASURED) <= len(sources) / 4


def test_widths_that_fail_are_passed_over(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, fail=[{"how": "run"}])
    answer = hr.measure_staircase(conv=CONV, gpu="h200", db=database)
    assert {point.source for point in answer.layers[0].readings[0].staircase.points} == {Source.PREDICTED}


def test_a_busy_gpu_is_refused_or_said(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend(monkeypatch, processes=[[4242, "python train.py"]])
    with pytest.raises(GpuError, match="is busy: process 4242"):
        hr.measure_staircase(conv=CONV, gpu="h200", db=database)
    hr.measure_staircase(conv="c=8,h=8,w=8,k=8:16", gpu="h200", db=database, shared=True)
    rows = _rows(database)
    assert rows
    assert all("on a shared GPU" in row.reason for row in rows)


def test_staircases_of_many_layers_are_searched_side_by_side(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    points = Stopwatch.points

    def counted(watch: Stopwatch, layers: Sequence[tuple[int, Layer]]) -> list[Point | None]:
        batches.append(len(layers))
        return points(watch, layers)

    monkeypatch.setattr(Stopwatch, "points", counted)
    hr.measure_staircase(conv="c=64:512:64,h=16,w=16,k=64:512:16", gpu="h200", db=database)
    # Eight staircases of 29 widths, seven of which may be measured: four at once, then half of what is left.
    assert batches[0] == 8 * 4
    assert len(batches) <= 4
    assert sum(batches) <= 8 * 7
