"""Rows that an H200 left, replayed through an answer into every output: the figures are the ones it measured."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

import headroom as hr
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.report.answer import to_dict
from headroom.report.compare import compare
from headroom.report.compare_terminal import render_comparison
from headroom.report.csv_table import csv_chunks
from headroom.report.html import render_html
from headroom.report.published import schema
from headroom.report.terminal import render
from headroom.report.trace import trace_chunks
from headroom.store.imported import JsonSource
from headroom.store.merge import merge
from headroom.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
ROWS = ROOT / "tests" / "rows" / "h200_resnet50_b1_bf16.json"

#: Microseconds that the H200 took, one layer after another and with its fused kernels, L2 warm.
SEQUENTIAL_US, FUSED_US = 394.87, 232.72
SYSTEM = "NVIDIA H200, driver 580.159.04, CUDA 13.0, cuDNN 9.19.0, cuBLAS 13.1.0, PyTorch 2.11.0"


@pytest.fixture(scope="module")
def model() -> Graph:
    return hr.load(ROOT / "examples" / "resnet50.onnx")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return json.loads(ROWS.read_text("utf-8"))["measurements"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("real") / "h200.sqlite"
    with Store.open(file) as store:
        merge(store, JsonSource(ROWS))
    return file


@pytest.fixture(scope="module")
def answer(model: Graph, database: Path) -> hr.Analysis:
    return hr.analyze(model, "h200", "bf16", source="measured", db=database)


def fastest_us(rows: list[dict[str, Any]], l2: str) -> dict[str, float]:
    """By a chain's digest: read off the file without the help of the store."""
    return {
        row["chain"]["digest"]: min(t["median_us"] for t in row["timings"] if (t["l2"], t["status"]) == (l2, "ok"))
        for row in rows
        if any((t["l2"], t["status"]) == (l2, "ok") for t in row["timings"])
    }


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_layer_is_measured_and_the_bounds_are_what_the_gpu_took(answer: hr.Analysis) -> None:
    assert (answer.measured_layers, answer.system) == (174, SYSTEM)
    assert answer.bounds.sequential_us == pytest.approx(SEQUENTIAL_US, abs=0.01)
    assert answer.bounds.fused_us == pytest.approx(FUSED_US, abs=0.01)


@pytest.mark.parametrize("l2", ["warm", "cold"])
def test_the_sequential_bound_is_the_sum_of_the_fastest_rows(
    model: Graph, database: Path, rows: list[dict[str, Any]], l2: str
) -> None:
    best = fastest_us(rows, l2)
    sum_us = sum(best[Chain.of([each.layer]).digest] * each.count for each in model.configurations)
    answer = hr.analyze(model, "h200", "bf16", source="measured", db=database, l2=l2)
    assert answer.bounds.sequential_us == pytest.approx(sum_us)


def test_nothing_measured_is_faster_than_its_own_floor(answer: hr.Analysis) -> None:
    for layer in to_dict(answer)["layers"]:
        assert layer["floor_us"] <= layer["time_us"], layer["name"]


def test_the_terminal_says_what_was_measured_where(answer: hr.Analysis) -> None:
    buffer = io.StringIO()
    render([answer], Console(file=buffer, width=80))
    text = flat(buffer.getvalue())
    assert "resnet50 at batch 1 in bf16 on H200 SXM 141GB takes about 395 µs ± 6.0 %" in text
    assert "All 174 layers are measured." in text
    assert "Fused 233 µs" in text
    assert "All 174 layers measured. Of the fused bound, 100 % is measured." in text
    assert "33 chains, 261 µs apart and a measured 169 µs fused" in text


def test_the_json_holds_each_layers_own_row(answer: hr.Analysis, model: Graph, rows: list[dict[str, Any]]) -> None:
    written, best = to_dict(answer), fastest_us(rows, "warm")
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(written)) == []
    times_us = {layer["name"]: layer["time_us"] for layer in written["layers"]}
    for each in model.configurations:
        assert times_us[each.layer.name] == pytest.approx(best[Chain.of([each.layer]).digest], rel=1e-5)
    stem = written["layers"][0]
    assert (stem["implementation"], stem["samples"]) == ("torch conv2d, nhwc", 24)
    assert {chain["source"] for chain in written["fused_chains"]} == {"measured"}


def test_csv_and_trace_add_up_to_the_same_time(answer: hr.Analysis) -> None:
    cells = list(csv.DictReader(io.StringIO("".join(csv_chunks([answer])))))
    assert sum(float(row["time_us"]) * int(row["count"]) for row in cells) == pytest.approx(SEQUENTIAL_US, rel=1e-4)
    events = json.loads("".join(trace_chunks([answer])))["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert max(event["ts"] + event["dur"] for event in spans) == pytest.approx(SEQUENTIAL_US, rel=1e-4)
    assert {event["args"]["source"] for event in spans} == {"measured"}


def test_the_page_shows_the_measured_figures(answer: hr.Analysis) -> None:
    page = render_html([answer])
    assert "395 µs" in page
    assert "<td>measured<small>24 samples" in page
    assert SYSTEM in page


def test_warm_and_cold_compare_as_measured_on_one_system(answer: hr.Analysis, model: Graph, database: Path) -> None:
    cold = hr.analyze(model, "h200", "bf16", source="measured", db=database, l2="cold")
    buffer = io.StringIO()
    render_comparison([compare(to_dict(answer), to_dict(cold))], Console(file=buffer, width=80))
    text = flat(buffer.getvalue())
    assert "slower than A" in text
    assert f"B: 100 % of the time measured on {SYSTEM}." in text


def test_beside_a_predicted_answer_it_is_said_which_one_is_measured(answer: hr.Analysis, model: Graph) -> None:
    other = hr.analyze(model, "l4", "bf16", source="predicted")
    buffer = io.StringIO()
    render([answer, other], Console(file=buffer, width=80))
    row = next(line.split() for line in buffer.getvalue().splitlines() if line.startswith("h200 "))
    assert row[row.index("395") - 2 : row.index("395")] == ["233", "µs"]
    assert "Measured share of the sequential time: h200 batch 1 100 %; the rest is predicted." in flat(
        buffer.getvalue()
    )
    page = render_html([answer, other]).replace("\N{NO-BREAK SPACE}", " ")
    assert "<td>233 µs</td><td>395 µs ± 6.0 %</td><td>100 %</td>" in re.sub(r">\s+<", "><", page)
