"""Choices that rest on measurements: what is chosen is measured, and what was measured decides."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import headroom as hr
from headroom.change.widths.fit import timing
from headroom.change.widths.fit.times import _scaled
from headroom.change.widths.fit.timing import Comparison, compared
from headroom.graph.tensor import DataType
from headroom.measure.fake_script import VARIABLE
from headroom.measure.networks.device import Host
from headroom.measure.networks.request import Request
from headroom.predict.prediction import Source


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, "fake:" + json.dumps({"plans": 1}))
    return tmp_path / "m.sqlite"


def test_everything_that_a_choice_rests_on_was_measured_and_nothing_is_measured_twice(database: Path) -> None:
    told: list[str] = []
    address = "change_fit.networks:residual"

    plan = hr.measure_fit(address, "h200", batch=128, db=database, on_layer=told.append)

    points = [point for layer in plan.layers for point in layer.points]
    assert {point.source for point in points} == {Source.MEASURED}
    assert told
    assert plan.after_us <= plan.before_us
    assert plan.space.clock.measurements.system.title.startswith("Fake GPU")

    rows = _rows(database)
    again = hr.measure_fit(address, "h200", batch=128, db=database)
    assert again.widths == plan.widths
    assert again.before_us == pytest.approx(plan.before_us)
    assert _rows(database) == rows


def _rows(database: Path) -> dict[str, int]:
    """How many rows each table has."""
    with closing(sqlite3.connect(database)) as records:
        names = [name for (name,) in records.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: records.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def test_a_measured_pair_pulls_the_pairs_around_it_along(fitted) -> None:
    """What lies near a measured pair is scaled as it is; the pair itself stays as it was measured."""
    space = fitted("plain").space
    points = dict(space.layers[1].points)
    pair = min(points)
    twice = {pair: replace(points[pair], latency_us=2 * points[pair].latency_us, source=Source.MEASURED)}

    found = _scaled(points, twice)

    assert found[pair] == twice[pair]
    assert all(
        point.latency_us == pytest.approx(2 * points[other].latency_us) and point.source is Source.INTERPOLATED
        for other, point in found.items()
        if other != pair
    )


def test_both_networks_run_in_turns_and_the_wider_one_is_read_back(fitted, tmp_path: Path) -> None:
    plan = fitted("residual", goal="latency", saves=0.2)
    plan.apply(tmp_path / "made")
    request = Request("change_fit.networks:residual", DataType.FP32, ("eager",), batch=2, energy_seconds=0.0)
    said: list[object] = []

    found = compared(request, tmp_path / "made", _Quick(), said.append)

    assert found.turns == 20
    assert min(found.before_us, found.after_us) > 0
    assert said == [{"step": "timing change_fit.networks:residual and its changed form in turns"}]


class _Quick(Host):
    """The CPU, asked for one run where a GPU would be asked for thousands."""

    def wall_us(self, run, repeats: int) -> float:
        return super().wall_us(run, 1) + 10_000.0


def _comparison(saves_us: float) -> Comparison:
    return Comparison(100.0, 100.0 - saves_us, saves_us, 2.0, 20)


def test_a_network_that_is_not_faster_is_not_kept(fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = fitted("plain")
    monkeypatch.setattr(timing, "run_job", lambda name, arguments, **options: vars(_comparison(-1.0)))
    refused = plan.apply(tmp_path / "slower", timed_on=0)
    monkeypatch.setattr(timing, "run_job", lambda name, arguments, **options: vars(_comparison(30.0)))
    kept = plan.apply(tmp_path / "faster", timed_on=0)

    assert (refused.paths, refused.comparison.faster) == ((), False)
    assert [path.name for path in kept.paths] == ["widths.json", "weights.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faster"]


def test_a_difference_within_the_noise_is_none() -> None:
    assert not _comparison(0.9).faster
    assert _comparison(1.1).faster


def test_a_module_of_this_process_is_not_timed_by_a_worker(tmp_path: Path) -> None:
    from change_fit.networks import residual

    module, image = residual()
    plan = hr.fit(module, "h200", example_inputs=image, goal="latency", saves=0.2, batch=128, source="predicted")

    with pytest.raises(hr.UsageError, match="cannot be timed by a worker"):
        plan.apply(tmp_path / "made", timed_on=0)
