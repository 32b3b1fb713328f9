"""All questions over real rows and real runs: every answer keeps to the form, and to its time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import headroom as hr
from headroom.advise.across import bounds_across, joint_speedup_across
from headroom.advise.questions import QUESTIONS
from headroom.advise.questions.answer import Waterfall
from headroom.predict.prediction import Source

ROOT = Path(__file__).resolve().parents[2]
RESNET50 = ROOT / "examples" / "resnet50.onnx"
PROFILES = ROOT / "tests" / "recorded_profiles"


@pytest.fixture(scope="module")
def analyses() -> list[hr.Analysis]:
    """ResNet-50 from the shipped rows, in two types at two batches."""
    graphs = [hr.load(RESNET50, batch=batch) for batch in (1, 32)]
    return [hr.analyze(graph, "h200", dtype) for graph in graphs for dtype in ("bf16", "fp32")]


def test_every_question_is_answered_once_in_order(analyses: list[hr.Analysis]) -> None:
    for analysis in analyses:
        assert [answer.number for answer in analysis.questions] == list(range(1, len(QUESTIONS) + 1))


def test_every_answer_keeps_to_its_form(analyses: list[hr.Analysis]) -> None:
    for answer in (answer for analysis in analyses for answer in analysis.questions):
        assert answer.question.endswith("?")
        assert answer.sentence.endswith(".")
        assert len(answer.sentence) < 1000
        for table in answer.tables:
            assert all(len(cells) == len(table.heads) for cells in table.rows)


def test_every_finding_names_its_layers_its_bar_and_what_to_do(analyses: list[hr.Analysis]) -> None:
    for finding in (finding for analysis in analyses for finding in analysis.findings):
        assert finding.saves_us > 0
        assert 0 < finding.error_pct < 100
        assert finding.speedup > 1
        assert finding.layers
        assert finding.action.endswith(".")
        assert finding.source in (Source.MEASURED, Source.PREDICTED)


def test_findings_are_ranked_and_none_is_told_twice(analyses: list[hr.Analysis]) -> None:
    for analysis in analyses:
        savings = [finding.saves_us for finding in analysis.findings]
        assert savings == sorted(savings, reverse=True)
        assert len({(f.kind, f.layers, f.title) for f in analysis.findings}) == len(savings)


def test_the_joint_bound_is_under_each_bound_and_over_light(analyses: list[hr.Analysis]) -> None:
    for analysis in analyses:
        (waterfall,) = analysis.questions[6].charts
        assert isinstance(waterfall, Waterfall)
        times = [time_us for _, time_us in waterfall.steps]
        assert times == sorted(times, reverse=True)
        assert times[-1] <= min(analysis.bounds.parallel_us, analysis.bounds.fused_us or times[-1])


def test_strict_fp32_and_bf16_end_at_the_same_joint_bound(analyses: list[hr.Analysis]) -> None:
    ends = [analysis.questions[6].charts[0].steps[-1][1] for analysis in analyses[:2]]
    assert ends[0] == pytest.approx(ends[1])


def test_several_analyses_make_one_table_and_lines(analyses: list[hr.Analysis]) -> None:
    table, bounds, ratios = bounds_across(analyses)
    assert len(table.rows) == len(analyses)
    assert all(len(points) == 2 for _, points in bounds.series)
    assert all(y > 0 for _, points in ratios.series for _, y in points)
    joint, lines = joint_speedup_across(analyses)
    assert len(joint.rows) == len(analyses)
    assert [name for name, _ in lines.series] == ["H200 SXM 141GB bf16", "H200 SXM 141GB fp32"]
    assert all(y > 1 for _, points in lines.series for _, y in points)


def test_a_recorded_run_is_what_savings_come_off(shared_models: Path) -> None:
    graph = hr.load(shared_models / "resnet18.onnx", batch=1)
    profile = hr.load_profile(PROFILES / "resnet18-1-bf16_channels_last.json.gz")
    analysis = hr.analyze(graph, "h200", "bf16", profile=profile)
    assert analysis.questions[6].charts[0].steps[0] == ("your run", pytest.approx(analysis.measured_us))
    assert "Your run's kernels in bf16 use tensor cores" in analysis.questions[5].sentence
    assert "waits for the host" in analysis.questions[7].sentence
    assert all(finding.saves_us < (analysis.measured_us or 0.0) for finding in analysis.findings)


@pytest.mark.alone
def test_all_answers_take_less_than_a_second_and_a_half() -> None:
    graph = hr.load(RESNET50, batch=1)
    hr.analyze(graph, "h200", "bf16")
    began = time.process_time()
    hr.analyze(graph, "h200", "bf16")
    assert time.process_time() - began < 1.5
