"""Compiling includes the CUDA graph, so that what the two save is shared out and counted once."""

from __future__ import annotations

import pytest

from builders import batch_norm, conv, graph, relu
from executions import Scene
from headroom.advise.case import Case
from headroom.advise.questions.framework import framework

MODEL = graph(conv("c", "x"), batch_norm("n", "c"), relu("r", "n"), conv("d", "r", channels=32))


def run_of(host_us: float, pointwise_us: float) -> Case:
    built = Scene(MODEL, host_us=host_us).run("c", ("conv", 20.0))
    built.run("n", ("invstd", pointwise_us), ("transform", pointwise_us)).run("r", ("relu", pointwise_us))
    return built.run("d", ("conv", 20.0)).case()


def savings(case: Case) -> dict[str, float]:
    return {finding.kind: finding.saves_us for finding in framework(case).findings}


def test_a_run_that_waits_for_the_host_has_the_host_as_its_largest_loss() -> None:
    case = run_of(host_us=300.0, pointwise_us=50.0)
    findings = framework(case).findings
    assert findings[0].kind == "launch_gaps"
    compiled = next(finding for finding in findings if finding.kind == "unfused_epilogues")
    # Two of three equal launches go; the graph has taken the rest.
    assert compiled.saves_us == pytest.approx(100.0, abs=3.0)
    assert "beyond a CUDA graph" in compiled.action


def test_what_graph_and_compiler_save_together_is_no_more_than_the_run() -> None:
    case = run_of(host_us=300.0, pointwise_us=50.0)
    found = savings(case)
    assert found["launch_gaps"] + found["unfused_epilogues"] < case.latency_us


def test_a_compiler_that_saves_next_to_nothing_beyond_the_graph_is_no_finding() -> None:
    assert "unfused_epilogues" not in savings(run_of(host_us=300.0, pointwise_us=1.0))
