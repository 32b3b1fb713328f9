"""The script that fits the calibration fits the parts that it is asked for."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headroom.predict.calibration import ErrorRow, load_calibration

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_one_part_is_fitted_and_the_others_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import calibrate

    bar = asdict(ErrorRow("softmax", "plain", "several", "any", 12.5, 99))
    part = calibrate.Part(lambda old: replace(old, stream=replace(old.stream, ramp_us=7.0)), lambda old: [bar])
    monkeypatch.setitem(calibrate.PARTS, "stream", part)
    shipped = load_calibration()
    content = calibrate.fitted(shipped, ["stream"])
    before = calibrate.constants_of(shipped)
    assert content["constants"]["stream"] == {**before["stream"], "ramp_us": 7.0}
    assert {**content["constants"], "stream": None} == {**before, "stream": None}
    kept = [asdict(row) for row in shipped.errors if calibrate.part_of(asdict(row)) != "stream"]
    assert sorted(map(str, content["errors"])) == sorted(map(str, [*kept, bar]))
