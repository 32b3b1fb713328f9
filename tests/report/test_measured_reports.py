"""Recorded rows of an H200 replayed through an answer into every output."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from rich.cells import cell_len
from rich.console import Console

import headroom as hr
from headroom.graph.graph import Graph
from headroom.predict.prediction import Source
from headroom.report.answer import to_dict, to_json
from headroom.report.compare import compare
from headroom.report.compare_terminal import render_comparison
from headroom.report.csv_table import csv_chunks
from headroom.report.html import render_html
from headroom.report.published import read_answers, schema
from headroom.report.terminal import render
from headroom.report.trace import trace_chunks
from headroom.store.rows import Status
from measured_rows import SYSTEM
from recorded import record

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"
LEFT_OUT = 12


@pytest.fixture(scope="module")
def model() -> Graph:
    return hr.load(EXAMPLE)


@pytest.fixture(scope="module")
def database(model: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("recorded") / "h200.sqlite", model, leave_out=LEFT_OUT)


@pytest.fixture(scope="module")
def partly(model: Graph, database: Path) -> hr.Analysis:
    """An answer of which some chains were never measured as one kernel."""
    return hr.analyze(model, "h200", "bf16", db=database)


@pytest.fixture(scope="module")
def mixed(partly: hr.Analysis, model: Graph, database: Path) -> hr.Analysis:
    """An answer with predicted layers beside measured ones, one of which is noisy."""
    theory = {a.names: a for a in hr.analyze(model, "h200", "bf16", source="predicted").answers}
    first, second, *rest = partly.answers
    assert first.timing is not None
    noisy = replace(first, timing=replace(first.timing, iqr_us=0.2 * (first.timing.median_us or 0.0)))
    return replace(partly, answers=(noisy, theory[second.names], *rest))


def printed(analysis: hr.Analysis, width: int = 80) -> str:
    buffer = io.StringIO()
    render([analysis], Console(file=buffer, width=width))
    return buffer.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_terminal_says_how_much_is_measured_and_which_layers_are(mixed: hr.Analysis) -> None:
    text = flat(printed(mixed))
    layers = sum(answer.count for answer in mixed.answers)
    share = rf"{mixed.measured_layers} of {layers} layers measured, >?\d+ % of the time; the rest is pred"
    assert re.search(share, text)
    assert "limited by time is" in text
    assert " measured " in text.partition("The longest layers")[2]
    assert f"Measured times are of {SYSTEM.title} (system {SYSTEM.id})" in text


def test_the_terminal_shows_every_way_the_model_was_run(mixed: hr.Analysis) -> None:
    text = printed(mixed)
    assert re.search(r"compile +840 µs +3.0 % +250 mJ +512 MiB", text)
    assert re.search(r"eager +3\.20 ms", text)
    assert "tensorrt: TensorRT is not installed" in text
    assert "is headroom above the fused bound" in flat(text)


@pytest.mark.parametrize("width", [72, 80, 140])
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_cut(mixed: hr.Analysis, width: int) -> None:
    lines = printed(mixed, width).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert "measur…" not in "\n".join(lines)


def test_the_json_follows_the_schema_and_says_where_each_time_comes_from(mixed: hr.Analysis) -> None:
    answer = to_dict(mixed)
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(answer)) == []
    first, second = answer["layers"][:2]
    assert (first["source"], second["source"]) == ("measured", "predicted")
    assert first["noisy"]
    assert (first["samples"], first["implementation"]) == (15, "cudnn eng22_k2=5_k13=1, nhwc")
    assert first["predicted_us"] > 0
    assert first["traffic_source"] == "predicted"
    assert (second["samples"], second["iqr_us"], second["noisy"]) == (None, None, False)
    assert answer["system"] == SYSTEM.title


def test_the_json_lists_the_runs_and_keeps_every_key_of_the_schema(partly: hr.Analysis) -> None:
    answer = to_dict(partly)
    assert [run["mode"] for run in answer["networks"]] == ["compile", "eager", "tensorrt"]
    assert set(answer["networks"][0]) == set(schema()["$defs"]["network"]["properties"])
    assert answer["measured_us"] == answer["networks"][0]["time_us"] == 840.0
    assert answer["measured_error_pct"] == 3.0
    assert answer["networks"][2] | {"measured_at": ""} == {
        "mode": "tensorrt", "status": "unsupported", "reason": "TensorRT is not installed", "time_us": None,
        "error_pct": None, "iqr_us": None, "samples": 0, "energy_mj": None, "peak_bytes": None, "measured_at": "",
    }  # fmt: skip


def test_the_json_names_the_kernels_of_every_fused_chain(partly: hr.Analysis) -> None:
    answer = to_dict(partly)
    chains = answer["fused_chains"]
    assert set(chains[0]) == set(schema()["$defs"]["chain"]["properties"])
    saved_us = sum(chain["unfused_us"] - chain["time_us"] for chain in chains)
    assert answer["bounds"]["fused_us"] == pytest.approx(answer["bounds"]["sequential_us"] - saved_us, rel=1e-4)
    measured = [chain for chain in chains if chain["source"] == "measured"]
    assert measured
    assert {chain["kernels"] for chain in measured} == {1}
    assert {name for chain in measured for name in chain["implementations"]} == {"cudnn eng22_k2=5_k13=1, nhwc"}
    assert {chain["source"] for chain in chains} == {"measured", "predicted"}


def test_a_saving_says_in_every_output_whether_it_is_measured(partly: hr.Analysis) -> None:
    first, *others = partly.findings
    told = replace(partly, findings=(replace(first, source=Source.MEASURED), first, *others))
    sources = {finding["source"] for finding in to_dict(told)["findings"]}
    assert sources == {"measured", "predicted"}
    assert re.search(r"saves [\d.,]+ µs ± [\d.]+ % \(measured\)", flat(printed(told)))
    assert ", measured</span>" in render_html([told])


def test_the_same_rows_give_the_same_bytes(model: Graph, database: Path, partly: hr.Analysis) -> None:
    again = hr.analyze(model, "h200", "bf16", db=database)
    assert to_json([again]) == to_json([partly])
    assert render_html([again]) == render_html([partly])


def test_a_rows_cells_tell_measured_from_predicted(mixed: hr.Analysis) -> None:
    rows = list(csv.DictReader(io.StringIO("".join(csv_chunks([mixed])))))
    assert (rows[0]["source"], rows[0]["noisy"], rows[0]["samples"]) == ("measured", "True", "15")
    assert (rows[1]["source"], rows[1]["samples"]) == ("predicted", "")


def test_the_trace_carries_each_times_source(mixed: hr.Analysis) -> None:
    events = json.loads("".join(trace_chunks([mixed])))["traceEvents"]
    assert {event["args"]["source"] for event in events if event["ph"] == "X"} == {"measured", "predicted"}


def test_the_page_shows_sources_samples_noise_and_runs(mixed: hr.Analysis) -> None:
    page = render_html([mixed])
    assert "<td>measured, noisy<small>15 samples, spread 20 %</small></td>" in page
    assert "<td>measured<small>15 samples, spread 1.0 %</small></td>" in page
    assert "<td>predicted</td>" in page
    assert "As frameworks run the whole model, measured" in page
    assert "<td>TensorRT is not installed</td>" in page
    assert "layers measured" in page


def test_names_from_a_strangers_database_are_escaped(partly: hr.Analysis) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m"
    first, *rest = partly.answers
    assert first.timing is not None
    spoiled = replace(first, prediction=replace(first.prediction, algorithm=hostile))
    run = replace(partly.networks[-1], mode=hostile, reason=hostile, status=Status.FAILED)
    analysis = replace(partly, answers=(spoiled, *rest), networks=(run,), system=hostile)
    assert "<script>alert" not in render_html([analysis])
    assert "\x1b" not in to_json([analysis]) + printed(analysis)


def test_a_comparison_says_that_one_side_is_measured(partly: hr.Analysis, model: Graph) -> None:
    theory = to_dict(hr.analyze(model, "h200", "bf16", source="predicted"))
    buffer = io.StringIO()
    render_comparison([compare(theory, to_dict(partly))], Console(file=buffer, width=80))
    text = flat(buffer.getvalue())
    assert "pred. → meas." in text
    assert f"B: >99 % of the time measured on {SYSTEM.title}." in text or "100 % of the time measured on" in text
    assert "One answer is measured and the other is not: part of the change is the theory's error." in text


def test_answers_of_a_version_that_measured_nothing_can_still_be_compared(partly: hr.Analysis, tmp_path: Path) -> None:
    new = {"measured_error_pct", "networks"}
    old = {key: value for key, value in to_dict(partly).items() if key not in new}
    for layer in old["layers"]:
        for key in ("predicted_us", "samples", "iqr_us", "noisy", "traffic_source"):
            del layer[key]
    file = tmp_path / "old.json"
    file.write_text(json.dumps(old))
    assert compare(read_answers(file)[0], to_dict(partly)).shared_layers
