"""``headroom slim`` as a user types it: the documentation's own commands, the page, and what does not go together."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from headroom.cli.main import run
from headroom.report.slim import schema

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "slim.md").read_text("utf-8")


@pytest.fixture
def _in_the_folder(monkeypatch: pytest.MonkeyPatch, folder: Path, nets) -> None:
    monkeypatch.chdir(folder)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_page_s_commands_and_code_run(headroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    module, *programs = blocks("python")
    (tmp_path / "mine.py").write_text(module)
    sys.modules.pop("mine", None)
    commands = [line[2:] for line in blocks("console")[0].splitlines()]
    assert len(commands) == 6
    for command in commands:
        _, *arguments = shlex.split(command)
        outcome = headroom(*arguments)
        assert outcome.code == 0, (command, outcome.err)
        assert outcome.err == "", command
    assert {path.name for path in tmp_path.iterdir()} >= {"slim", "again", "slim.onnx", "front.json", "front.json.pt"}
    jsonschema.Draft202012Validator(schema()).validate(json.loads((tmp_path / "plan.json").read_text()))
    for number, program in enumerate(programs):
        (tmp_path / f"program{number}.py").write_text(program)
        runpy.run_path(str(tmp_path / f"program{number}.py"))
    sys.modules.pop("mine", None)


OPTIONS = ("--gpu", "h200", "--source", "predicted", "--batch", "512")


@pytest.fixture(scope="module")
def front(folder: Path, nets) -> Path:
    """A front made by the command, once."""
    path = folder / "front.json"
    arguments = [
        "slim",
        "slim_nets:small",
        "--data",
        "slim_nets:small_labelled",
        *OPTIONS,
        "--frontier",
        str(path),
        "-q",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(arguments) == 0
    return path


def test_a_front_answers_without_its_network_and_in_the_same_words(headroom, front: Path) -> None:
    loss = headroom("slim", "--frontier", front, "--max-loss", "1000000")
    assert loss.code == 0, loss.err
    assert "Asked for at most 1e+06 points lost" in loss.out
    assert "points of accuracy" in loss.out
    assert "filters of 0 go with them" in " ".join(loss.out.split())
    fast = headroom("slim", "--frontier", front, "--speedup", "1.05")
    assert fast.code == 0, fast.err
    assert "at least 1.05 times as fast" in fast.out


@pytest.mark.alone
def test_a_point_is_picked_in_milliseconds(front: Path) -> None:
    import headroom as hr

    found = hr.load_frontier(front)
    start = time.perf_counter()
    for _ in range(10):
        found.for_speedup(1.05)
    assert (time.perf_counter() - start) / 10 < 0.01


def test_the_page_has_the_front_and_loads_nothing(headroom, front: Path, tmp_path: Path) -> None:
    outcome = headroom("slim", "--frontier", front, "--max-loss", "1000", "--html", tmp_path / "slim.html", "--quiet")
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    text = (tmp_path / "slim.html").read_text()
    for heading in ("Speedup against loss", "The chosen point, layer by layer", "Every layer", "Method"):
        assert heading in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_names_of_strangers_are_escaped_on_the_page_and_clean_in_the_terminal(headroom, front: Path, tmp_path) -> None:
    held = json.loads(front.read_text())
    held["model"] = "<script>alert(1)</script>\x1b[31m"
    held["layers"][0]["name"] = "<img src=x>\x1b[2J"
    path = tmp_path / "front.json"
    path.write_text(json.dumps(held))
    outcome = headroom("slim", "--frontier", path, "--html", tmp_path / "page.html")
    assert outcome.code == 0, outcome.err
    assert "\x1b[2J" not in outcome.out
    text = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert "<img" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "slim what? Give a TARGET"),
        (("--frontier", "nowhere.json"), 2, "slim what? Give a TARGET"),
        (("slim_nets:pair", "--apply"), 2, "give its TARGET, and a folder with --out"),
        (("slim_nets:pair", "--out", "there"), 2, "--out and --onnx go with --apply"),
        (("slim_nets:pair", "--finetune", "slim_nets:train"), 2, "--finetune goes with --apply"),
        (("slim_nets:pair", "--batch", "1,2"), 2, "one at a time"),
        (("slim_nets:pair", "--speedup", "2", "--max-loss", "1"), 2, "each choose a point"),
        (("slim_nets:pair", "--threshold", "2"), 2, "a threshold of 2 means nothing"),
        (("slim_nets:pair", "--samples", "1"), 2, "cannot be divided"),
        (("slim_nets:nobody",), 3, "has no attribute 'nobody'"),
        (("model.onnx",), 2, "'model.onnx' is no package.module:callable"),
        (("slim_nets:pair", "--data", "slim_nets:broken"), 3, "the disk is gone"),
        (("slim_nets:pair", "--data", "data.csv"), 2, "'data.csv' is no package.module:callable"),
        (("slim_nets:alone",), 2, "return (module, inputs), or give --data"),
        (("slim_nets:pair", "--json", "a", "--html", "a"), 2, "both write to a"),
        (("slim_nets:pair", "--dtype", "fp8", "--gpu", "t4"), 2, "fp8"),
    ],
)
@pytest.mark.usefixtures("_in_the_folder")
def test_what_does_not_go_together_is_said_in_one_line(headroom, arguments, code, sentence) -> None:
    gpu = () if "--gpu" in arguments else ("--gpu", "h200")
    outcome = headroom("slim", *arguments, *gpu)
    assert outcome.code == code, outcome.err
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_front_that_was_made_is_not_made_otherwise(headroom, front: Path) -> None:
    outcome = headroom("slim", "--frontier", front, "--gpu", "t4")
    assert outcome.code == 2
    assert "is a front that was made: leave out" in outcome.err
    for option in (("--correlate", "inputs"), ("--transform", "fold"), ("--l2", "cold"), ("--measure",)):
        outcome = headroom("slim", "--frontier", front, *option)
        assert outcome.code == 2
        assert "was chosen and timed when it was made" in outcome.err
    over = headroom("slim", "--frontier", front, "--json", front)
    assert over.code == 2
    assert "is the input itself" in over.err
