"""The advice held against what settings gained on an H200, and planted losses found in the profiles of those runs."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

import headroom as hr
from advice_kept import write_profile
from advice_page import TARGET_PCT, TARGET_SIGNS, Trial
from record import RESULTS


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    written: list[dict[str, Any]] = json.loads((RESULTS / "advice.json").read_text("utf-8"))["trials"]
    return [Trial(**{name: value for name, value in each.items() if name in Trial.__match_args__}) for each in written]


def test_the_advice_meets_its_targets_where_a_trial_can_judge(trials: list[Trial]) -> None:
    judging = [trial for trial in trials if trial.judges]
    advised = [trial for trial in judging if trial.predicted_us is not None]
    assert len({(trial.network, trial.batch) for trial in judging}) >= 15
    assert statistics.median(trial.off_pct or 0.0 for trial in advised) < TARGET_PCT
    for group in (judging, advised):
        assert sum(trial.is_sign_right for trial in group) >= TARGET_SIGNS * len(group)


def test_a_trial_judges_only_where_its_noise_is_less_than_what_it_is_to_tell() -> None:
    def trial(noise_us: float, predicted_us: float | None) -> Trial:
        return Trial("n", 1, "fp32", "tf32", 1000.0, 100.0, noise_us, predicted_us, 10.0)

    assert [trial(15.0, 90.0).judges, trial(16.0, 90.0).judges, trial(16.0, 110.0).judges] == [True, False, True]
    assert [trial(20.0, None).judges, trial(21.0, None).judges] == [True, False]


#: What was planted into MobileNetV2, the kind of finding that names it, and how often it was planted.
PLANTED = (
    ("padding", "padding", "36 padding launches"),
    ("copies", "copies", "52 launches"),
    ("host looks", "host_waits", "1 time"),
)


@pytest.mark.parametrize(("planted", "kind", "words"), PLANTED)
def test_what_was_planted_into_a_run_on_an_h200_is_found(
    planted: str, kind: str, words: str, tmp_path: Path, shared_models: Path
) -> None:
    trace = tmp_path / "trace.json"
    write_profile("mobilenet_v2", f"mobilenet_v2-1-bf16_with_{planted.replace(' ', '_')}.json", trace, 5000.0)
    analysis = hr.analyze(hr.load(shared_models / "mobilenet_v2.onnx"), "h200", profile=trace)
    (found,) = {f.title: f for answer in analysis.questions for f in answer.findings if f.kind == kind}.values()
    assert words in found.title
    assert found.saves_us > 0
