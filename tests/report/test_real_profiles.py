"""Runs recorded on an H200, from the trace to every output: the same figures, readable, and true to the schema."""

from __future__ import annotations

import io
import json
from pathlib import Path

import jsonschema
import pytest
from rich.cells import cell_len
from rich.console import Console

import headroom as hr
from bound_networks import BOUNDS
from headroom.report.answer import to_json
from headroom.report.html import render_html
from headroom.report.published import schema
from headroom.report.terminal import render
from profiles import FOLDER, NAMES


@pytest.fixture(scope="module", params=NAMES)
def analysis(request: pytest.FixtureRequest, shared_models: Path) -> hr.Analysis:
    network, batch, _ = request.param.split("-")
    graph = hr.load(shared_models / BOUNDS[network], batch=int(batch))
    return hr.analyze(graph, gpu="h200", profile=FOLDER / f"{request.param}.json.gz")


def test_the_json_follows_the_schema_and_answers_every_question(analysis: hr.Analysis) -> None:
    answer = json.loads(to_json([analysis]))
    jsonschema.Draft202012Validator(schema()).validate(answer)
    assert [question["number"] for question in answer["questions"]] == list(range(1, 9))
    assert answer["profile"]["matched_share"] > 0.5


def test_the_terminal_fits_80_columns_and_ranks_what_to_do(analysis: hr.Analysis) -> None:
    buffer = io.StringIO()
    render([analysis], Console(file=buffer, width=80))
    lines = buffer.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= 80
    savings_us = [finding.saves_us for finding in analysis.findings]
    assert savings_us == sorted(savings_us, reverse=True)
    assert any(analysis.findings[0].title[:40] in line for line in lines)


def test_the_page_has_a_section_for_every_question(analysis: hr.Analysis) -> None:
    page = render_html([analysis])
    assert all(f'<section id="a0-q{number}"' in page for number in range(1, 9))
    assert len(page) < 1_000_000


def test_the_runs_of_all_layers_add_up_to_what_was_matched(analysis: hr.Analysis) -> None:
    execution = analysis.execution
    assert execution is not None
    rows = analysis.to_dict()["layers"]
    ran_us = sum((row["run_us"] or 0.0) * row["count"] for row in rows)
    assert ran_us == pytest.approx(sum(run.time_us for run in execution.runs), rel=1e-4)


def test_no_finding_saves_more_than_the_run_takes(analysis: hr.Analysis) -> None:
    for finding in analysis.findings:
        assert 0 < finding.saves_us < analysis.measured_us
        assert finding.speedup == pytest.approx(
            analysis.measured_us / (analysis.measured_us - finding.saves_us), rel=0.02
        )
