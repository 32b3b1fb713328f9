"""``headroom analyze``: what comes out, which exit code, and one line for whatever goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import TensorProto, helper

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_is_answered_with_bounds_and_advice(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--gpu", "h200")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "resnet50" in outcome.out
    assert "H200" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "\x1b[" not in outcome.out


def test_every_output_is_written_in_one_call(headroom, example: Path, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"answer.{kind}" for kind in ("json", "html", "csv", "trace")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", path)]
    outcome = headroom("analyze", example, "--gpu", "h200", "--quiet", *options)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    answer = json.loads(files["json"].read_text())
    assert answer["model"] == "resnet50"
    assert answer["bounds"]["speed_of_light_us"] <= answer["bounds"]["parallel_us"]
    assert files["html"].read_text().startswith("<!doctype html>")
    assert json.loads(files["trace"].read_text())["traceEvents"]
    assert files["csv"].read_text().count("\n") > 20


def test_several_gpus_and_batches_are_a_list_of_answers(headroom, example: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.json"
    outcome = headroom(
        "analyze", example, "--gpu", "h200", "--gpu", "t4", "--batch", "1,8", "--dtype", "fp16", "--json", out
    )
    assert outcome.code == 0
    answers = json.loads(out.read_text())
    assert [(a["gpu"], a["batch"]) for a in answers] == [("h200", 1), ("t4", 1), ("h200", 8), ("t4", 8)]
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_json_on_stdout_is_only_json(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--gpu", "h200", "--json", "-")
    assert json.loads(outcome.out)["gpu"] == "h200"


def test_the_same_question_gets_byte_identical_json(headroom, example: Path) -> None:
    question = ("analyze", example, "--gpu", "v100-sxm2", "--json", "-")
    assert headroom(*question).out == headroom(*question).out


def test_a_crossed_threshold_is_exit_code_1_and_a_kept_one_0(headroom, example: Path) -> None:
    question = ("analyze", example, "--gpu", "h200", "--quiet", "--fail-above-us")
    crossed = headroom(*question, "1")
    assert crossed.code == 1
    assert "which is above the limit of 1" in crossed.err
    assert headroom(*question, "1e9").code == 0


def test_the_best_batch_under_a_latency_is_named(headroom, example: Path) -> None:
    outcome = headroom("analyze", example, "--gpu", "h200", "--batch", "1,8,64", "--max-latency-us", "1e6")
    assert outcome.code == 0
    assert "batch 64 is the best under" in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["no-such-file.onnx", "--gpu", "h200"], 3, "no-such-file.onnx"),
        (["EXAMPLE", "--gpu", "h2000"], 2, "h2000"),
        (["EXAMPLE", "--gpu", "v100"], 2, "v100-sxm2-16gb"),
        (["EXAMPLE", "--gpu", "h200", "--batch", "0"], 2, "expected a whole number from 1 to 2147483647"),
        (["EXAMPLE", "--gpu", "h200", "--batch", "1,x"], 2, "--batch 'x'"),
        (["EXAMPLE", "--gpu", "h200", "--dim", "n"], 2, "expected NAME=N"),
        (["EXAMPLE", "--gpu", "h200", "--dim", "n=4"], 3, "n"),
        (["EXAMPLE", "--gpu", "h200", "--dtype", "fp64"], 2, "fp64"),
        (["EXAMPLE", "--gpu", "v100-sxm2", "--dtype", "fp8"], 2, "has no fp8 units; choose --dtype from"),
        (["EXAMPLE", "--gpu", "t4", "--source", "measured"], 5, "run `headroom measure MODEL --batch 1 --dtype fp16`"),
        (["EXAMPLE", "--gpu", "t4", "--db", "/no/such/database"], 5, "there is no database at /no/such/database"),
        (["EXAMPLE", "--gpu", "t4", "--system", "zzz"], 5, "system 'zzz' is unknown"),
        (["EXAMPLE", "--gpu", "t4", "--source", "predicted", "--system", "abc"], 2, "asks no database"),
        (["EXAMPLE", "--gpu", "h200", "--json", "/no/such/folder/a.json"], 2, "cannot write /no/such/folder/a.json"),
        (["EXAMPLE", "--l2", "hot"], 2, "Invalid value for '--l2': 'hot' is not one of 'warm', 'cold'."),
        (["EXAMPLE", "--no-such-option"], 2, "see headroom analyze --help"),
        ([], 2, "see headroom analyze --help"),
        (["no.such.module:thing", "--gpu", "h200"], 3, "no.such.module"),
    ],
)
def test_bad_input_is_one_line_with_the_right_code(
    headroom, example: Path, arguments: list[str], code: int, sentence: str
) -> None:
    outcome = headroom("analyze", *(str(example) if part == "EXAMPLE" else part for part in arguments))
    assert outcome.code == code
    assert outcome.err.startswith("headroom: ")
    assert outcome.err.count("\n") == 1
    assert sentence in outcome.err


def test_a_failed_write_leaves_the_old_file_whole(headroom, example: Path, tmp_path: Path) -> None:
    folder = tmp_path / "answer.json"
    folder.mkdir()
    (folder / "keep").write_text("mine")
    outcome = headroom("analyze", example, "--gpu", "h200", "--json", folder)
    assert outcome.code == 2
    assert (folder / "keep").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["answer.json"]


def test_the_model_itself_is_never_overwritten(headroom, example: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(example.read_bytes())
    outcome = headroom("analyze", model, "--gpu", "h200", "--json", model)
    assert outcome.code == 2
    assert "is the input itself" in outcome.err
    assert model.read_bytes() == example.read_bytes()


def test_a_sheet_is_never_overwritten(headroom, example: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "mine.toml"
    sheet.write_text('base = "h200"\nsms = 100\n', "utf-8")
    for arguments in (("analyze", example, "--json", sheet), ("predict", tmp_path / "t.csv", "--out", sheet)):
        outcome = headroom(*arguments, "--gpu", sheet)
        assert outcome.code == 2
        assert "is the input itself" in outcome.err
    assert sheet.read_text("utf-8").startswith("base")


def test_a_failure_inside_is_70_and_shows_its_traceback_only_on_request(headroom, example, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("headroom.api.analyze_graph", broken)
    plain = headroom("analyze", example, "--gpu", "h200")
    assert (plain.code, plain.err.count("\n")) == (70, 1)
    assert "ZeroDivisionError: planted" in plain.err
    assert "Traceback" in headroom("--debug", "analyze", example, "--gpu", "h200").err
    assert "planted" in headroom("analyze", example, "--gpu", "h200", "--debug").err.partition("Traceback")[2]


def test_an_interrupt_is_130(headroom, example, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headroom.api.analyze_graph", interrupted)
    assert headroom("analyze", example, "--gpu", "h200").code == 130


def test_every_verb_shows_an_example_in_its_help(headroom) -> None:
    for verb in (["analyze"], ["predict"], ["compare"], ["gpus", "list"], ["gpus", "show"]):
        outcome = headroom(*verb, "--help")
        assert outcome.code == 0
        assert f"headroom {' '.join(verb)}" in " ".join(outcome.out.split())


def test_the_example_model_is_what_its_script_builds(example: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    rebuilt = tmp_path / "resnet50.onnx"
    subprocess.run([sys.executable, ROOT / "examples" / "build_resnet50.py", rebuilt], check=True)
    assert rebuilt.read_bytes() == example.read_bytes()


def test_a_kept_limit_says_what_it_was_checked_without(headroom, tmp_path: Path) -> None:
    shape = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])
    model = tmp_path / "half.onnx"
    nodes = [helper.make_node("Mystery", ["x"], ["y"], domain="elsewhere"), helper.make_node("Relu", ["y"], ["z"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])]
    outputs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 64])]
    graph = helper.make_graph(nodes, "half", inputs, outputs, value_info=[shape])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    model.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    outcome = headroom("analyze", model, "--gpu", "h200", "--quiet", "--fail-above-us", 1000)
    assert outcome.code == 0
    assert outcome.err == (
        "headroom: half at batch 1 on h200 was held against the limit without 50 % of its layers, which are unknown\n"
    )


def test_a_model_of_views_needs_no_time_and_is_not_called_unknown(headroom, tmp_path: Path) -> None:
    model = tmp_path / "views.onnx"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "views", ends[:1], ends[1:])
    model.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    text = " ".join(headroom("analyze", model, "--gpu", "h200").out.split())
    assert "no layer of this model does any work" in text
    assert "All unknown" not in text
