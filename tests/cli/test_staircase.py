"""``headroom staircase``: one command from a layer to the widths worth having."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import headroom as hr
from headroom.report.staircase import schema
from headroom.store import default

CONV = "c=512,h=64,w=64,k=64:512,r=3,s=3,n=1"


@pytest.fixture(autouse=True)
def _no_database_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(default.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_a_convolution_without_a_model_or_a_gpu(headroom) -> None:
    outcome = headroom("staircase", "--conv", CONV, "--gpu", "h200", "--source", "predicted")
    assert outcome.code == 0, outcome.err
    assert "convolution, 512 inputs" in outcome.out
    assert "No wider layer is as fast: 64, 128," in outcome.out
    assert "Equation 3:" in outcome.out
    assert "57 predicted" in outcome.out


def test_the_json_follows_the_published_schema_and_repeats_exactly(headroom, tmp_path: Path) -> None:
    texts = []
    for name in ("a.json", "b.json"):
        outcome = headroom("staircase", "--conv", CONV, "--gpu", "h200", "--json", tmp_path / name, "--quiet")
        assert (outcome.code, outcome.out) == (0, "")
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    answer = json.loads(texts[0])
    jsonschema.Draft202012Validator(schema()).validate(answer)
    curve = answer["layers"][0]["staircases"][0]
    assert curve["in_width"] == 512
    assert [point["width"] for point in curve["points"]] == list(range(64, 513, 8))
    assert set(curve["dominating"]) <= {point["width"] for point in curve["points"]}


def test_a_layer_of_a_model_by_its_module_s_name(headroom, example: Path) -> None:
    options = ("--gpu", "h200", "--source", "predicted")
    outcome = headroom("staircase", example, "--layer", "layer3.0.conv2", *options)
    assert outcome.code == 0, outcome.err
    assert "layer3.0.conv2, 256 inputs" in outcome.out
    assert "At its width of 256 it takes" in outcome.out


def test_every_layer_of_a_model_and_several_input_widths(headroom, example: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.json"
    outcome = headroom(
        "staircase", example, "--gpu", "t4", "--widths", "32:64:16", "--in-widths", "64:128:64", "--json", out, "-q"
    )
    assert outcome.code == 0, outcome.err
    layers = json.loads(out.read_text())["layers"]
    assert {layer["kind"] for layer in layers} == {"convolution", "matvec"}
    assert sum(layer["count"] for layer in layers) == 54
    for layer in layers:
        assert [curve["in_width"] for curve in layer["staircases"]] == [64, 128]


def test_measured_rows_of_the_shipped_database_are_used_and_named(headroom, example: Path) -> None:
    """ResNet-50's own widths were measured on an H200; what lies between is scaled to meet them."""
    outcome = headroom("staircase", example, "--layer", "layer3.0.conv2", "--gpu", "h200")
    assert "Measured times are those of NVIDIA H200" in outcome.out
    assert "1 measured, 36 interpolated" in outcome.out
    only = headroom("staircase", example, "--layer", "layer3.0.conv2", "--gpu", "h200", "--source", "measured")
    assert "1 width: 1 measured" in only.out
    theirs = headroom("staircase", example, "--layer", "layer3.0.conv2", "--gpu", "t4", "--source", "measured")
    assert theirs.code == 2
    assert "was measured on" in theirs.err


def test_the_page_is_whole_and_safe(headroom, tmp_path: Path) -> None:
    page = tmp_path / "stairs.html"
    conv = "c=256:512:256,h=16,w=16,k=64:256:32"
    outcome = headroom("staircase", "--conv", conv, "--gpu", "h200", "--html", page, "--quiet")
    assert outcome.code == 0, outcome.err
    text = page.read_text()
    for heading in ("Latency by input width", "Throughput", "Utilisation of the SMs", "Method"):
        assert heading in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_a_layer_s_name_is_escaped_on_the_page(tmp_path: Path) -> None:
    import torch

    graph = hr.load(torch.nn.Sequential(torch.nn.Conv2d(8, 16, 3)), torch.zeros(1, 8, 8, 8))
    renamed = type(graph)("<script>alert(1)</script>", graph.layers, graph.inputs, graph.outputs, graph.batch)
    text = hr.staircase(renamed, "h200", source="predicted").to_html(tmp_path / "page.html").read_text()
    assert "<script>alert" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "a staircase of what? Give a model"),
        (("--conv", CONV, "--batch", "2"), 2, "leave out the model, --batch and --dim"),
        (("--conv", "c=1"), 2, "--conv lacks h, w, k"),
        (("--conv", CONV, "--layer", "fc"), 2, "a convolution in words holds its widths"),
        (("--conv", CONV, "--dtype", "bf16", "--gpu", "gtx-1080-ti"), 2, "does not multiply bf16"),
        (("--conv", "c=8,h=8,w=8,k=1:100000:1"), 2, "take a larger step"),
        (("--conv", "c=8,h=8,w=8,k=" + 5000 * "9"), 2, "expected a width or FROM:TO"),
        (("--conv", "c=8,k=8,w=8,h=" + 5000 * "9"), 2, "expected a whole number from 1"),
        (("--conv", "c=8,h=99999999,w=99999999,n=99999999,k=8:64"), 2, "multiply-adds: check its sizes"),
        (("EXAMPLE", "--batch", 5000 * "9"), 2, "expected a whole number from 1"),
        (("--conv", CONV, "--source", "predicted", "--db", "x.sqlite"), 2, "asks no database"),
        (("--conv", CONV, "--db", "nowhere.sqlite"), 5, "nowhere.sqlite"),
        (("EXAMPLE", "--layer", "layer9"), 2, "has no layer 'layer9': its layers with widths are called"),
        (("EXAMPLE", "--layer", "maxpool"), 2, "has no width to choose: name a convolution"),
        (("EXAMPLE", "--widths", "64:32"), 2, "ends before it begins"),
        (("EXAMPLE", "--batch", "1,2"), 2, "one at a time"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(
    headroom, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int,
    sentence: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = [str(example) if word == "EXAMPLE" else word for word in arguments]
    gpu = () if "--gpu" in words else ("--gpu", "h200")
    outcome = headroom("staircase", *words, *gpu)
    assert outcome.code == code, outcome.err
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_library_answers_the_same(example: Path) -> None:
    answer = hr.staircase(hr.load(example), "h200", layer="fc", widths="500:1000:100", dtype="tf32", source="predicted")
    assert [point.width for point in answer.layers[0].readings[0].staircase.points] == list(range(500, 1001, 100))
    assert answer.to_dict()["dtype"] == "tf32"
    with pytest.raises(hr.UsageError, match="give one of the two"):
        hr.staircase(gpu="h200")
    with pytest.raises(hr.UsageError, match="source is 'guess'"):
        hr.staircase(conv=CONV, gpu="h200", source="guess")


def test_an_answer_looked_at_in_a_session_is_one_short_line() -> None:
    study = hr.staircase(conv=CONV, gpu="h200", source="predicted")
    assert repr(study) == f"<Study of {CONV} on H200 SXM 141GB: 1 staircase>"


def test_measuring_is_one_option_away(headroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", 'fake:{"plans": 1}')
    options = ("--conv", "c=64,h=8,w=8,k=64:512:16", "--gpu", "h200", "--db", tmp_path / "m.sqlite")
    outcome = headroom("staircase", *options, "--measure")
    assert outcome.code == 0, outcome.err
    assert "Measured times are those of Fake GPU" in outcome.out
    assert "interpolated" in outcome.out
    refused = headroom("staircase", *options, "--measure", "--source", "predicted")
    assert refused.code == 2
    assert "answers from what it measures" in refused.err
