"""Which GPU should I use, and the two speeds of a language model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import headroom as hr
from headroom.advise.questions.which_gpu import which_gpu
from headroom.report.html import render_html
from headroom.report.published import schema
from report.factory import H200, make_analysis

A100 = replace(H200, id="a100", name="NVIDIA A100")


@pytest.fixture(scope="module")
def graph(shared_models: Path) -> hr.Graph:
    return hr.load(shared_models / "bert_base.onnx")


@pytest.fixture(scope="module")
def bert(graph: hr.Graph) -> hr.Analysis:
    return hr.analyze(graph, "h200", "bf16", source="predicted")


def slower(factor: float, error_pct: float) -> list[object]:
    fast = make_analysis(1, hostile=False)
    fast = replace(
        fast, measured_us=None, bounds=replace(fast.bounds, sequential_us=100.0, sequential_error_pct=error_pct)
    )
    return [replace(fast, gpu=A100, bounds=replace(fast.bounds, sequential_us=100.0 * factor)), fast]


def test_one_gpu_is_no_choice() -> None:
    assert which_gpu([make_analysis(1), make_analysis(8)]) is None


def test_gpus_are_ranked_by_latency() -> None:
    answer = which_gpu(slower(2.0, 10.0))
    assert answer is not None
    assert answer.sentence.startswith("At batch 1 NVIDIA H200 in bf16 answers first, in 100 µs")
    assert "NVIDIA A100 in bf16 takes 2.0 times as long" in answer.sentence
    assert [row[0] for row in answer.tables[0].rows] == ["NVIDIA A100", "NVIDIA H200"]


def test_error_bars_that_overlap_leave_the_choice_open() -> None:
    answer = which_gpu(slower(1.2, 20.0))
    assert answer is not None
    assert "NVIDIA A100 in bf16 may be as fast: their error bars overlap" in answer.sentence


def test_a_gpu_that_the_model_does_not_fit_is_not_recommended() -> None:
    slow, fast = slower(2.0, 10.0)
    answer = which_gpu([slow, replace(fast, memory=replace(fast.memory, weights=10**15))])
    assert answer is not None
    assert answer.sentence == ""
    assert [row[6] for row in answer.tables[0].rows] == ["yes", "no"]


def test_a_language_model_has_two_speeds(bert: hr.Analysis) -> None:
    phases = bert.phases
    assert phases is not None
    assert (phases.tokens, phases.sequences, phases.decode_l2) == (128, 1, "cold")
    assert phases.prefill_us == bert.bounds.sequential_us
    assert phases.cache_bytes == 12 * 2 * 128 * 768 * 2
    # Every weight crosses DRAM once, and little else happens.
    weights_us = bert.memory.weights / (bert.gpu.dram.bandwidth_gbs * 1e3)
    assert phases.decode_us > weights_us / 2
    assert phases.prefill_tokens_per_second > 50 * phases.decode_tokens_per_second


def test_the_split_is_in_every_output(graph: hr.Graph, bert: hr.Analysis) -> None:
    other = hr.analyze(graph, "a100-80gb-sxm", "bf16", source="predicted")
    document = bert.to_dict()
    jsonschema.Draft202012Validator({"$ref": "#/$defs/answer", "$defs": schema()["$defs"]}).validate(
        json.loads(json.dumps(document))
    )
    assert document["phases"]["tokens"] == 128
    page = render_html([bert, other])
    for words in ("Which GPU should I use?", "Reading a prompt, writing a token", "Prefill", "Decode"):
        assert words in page


def test_models_that_write_no_text_have_no_phases() -> None:
    assert make_analysis(1).phases is None
