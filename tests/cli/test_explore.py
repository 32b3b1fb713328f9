"""``headroom explore``: a model on designs of a GPU."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import jsonschema
import pytest

from headroom.report.exploration import schema

COST = (
    'name = "area"\nunit = "mm2"\nfixed = 40\nper_unit = { dram_bw = 0.1 }\n[[term]]\nat_base = 300\nof = { sms = 1 }\n'
)
GRID = ("--gpu", "titan-xp", "--vary", "sms=1,2,@45", "--vary", "dram_bw=1,1.5,4")


def test_the_terminal_shows_the_base_the_fastest_designs_and_what_limits_them(headroom, example: Path) -> None:
    outcome = headroom("explore", example, *GRID)
    assert outcome.code == 0
    assert "As it is: " in outcome.out
    assert re.search(r"sms x2, dram_bw\s+x1.5", outcome.out)
    assert "limited by" in outcome.out
    assert "3 of 9 designs are no possible GPUs" in outcome.out
    assert "All designs, the fastest first" in outcome.out


def test_with_costs_the_front_is_shown(headroom, example: Path, tmp_path: Path) -> None:
    cost = tmp_path / "cost.toml"
    cost.write_text(COST)
    outcome = headroom("explore", example, *GRID, "--cost", cost)
    assert "The Pareto front: " in outcome.out
    assert "mm2" in outcome.out


def test_json_follows_the_published_schema_and_csv_has_a_row_per_design(
    headroom, example: Path, tmp_path: Path
) -> None:
    cost, answer, table = tmp_path / "cost.toml", tmp_path / "x.json", tmp_path / "x.csv"
    cost.write_text(COST)
    for options in ((), ("--cost", cost), ("--theory", "delta")):
        outcome = headroom("explore", example, *GRID, *options, "--json", answer, "--csv", table, "--quiet")
        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
        document = json.loads(answer.read_text())
        jsonschema.Draft202012Validator(schema()).validate(document)
        rows = list(csv.DictReader(table.open()))
        assert [row["design"] for row in rows] == [design["name"] for design in document["designs"]]
        assert [float(row["time_us"]) for row in rows] == [design["time_us"] for design in document["designs"]]
        assert {row["sms"] for row in rows} == {"x1", "x2", "'@45"}  # no formula to a spreadsheet
    assert document["impossible"]["count"] == 3
    assert document["designs"][0]["speedup"] == 1
    assert document["designs"][0]["error_pct"] is None


def test_the_same_question_gives_the_same_bytes(headroom, example: Path) -> None:
    first = headroom("explore", example, *GRID, "--json", "-").out
    assert json.loads(first)["model"] == "resnet50"
    assert headroom("explore", example, *GRID, "--json", "-").out == first


def test_the_page_is_one_safe_file_with_its_charts(headroom, example: Path, tmp_path: Path) -> None:
    cost, page = tmp_path / "cost.toml", tmp_path / "x.html"
    cost.write_text(COST.replace("area", "<b>area</b>"))
    assert headroom("explore", example, *GRID, "--cost", cost, "--html", page).code == 0
    text = page.read_text()
    assert "Content-Security-Policy" in text
    assert "<b>area</b>" not in text
    assert "&lt;b&gt;area&lt;/b&gt;" in text
    for title in ("Speed-up against", "One change at a time", "What limits each design", "All designs"):
        assert title in text
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)


def test_named_designs_come_from_a_file(headroom, example: Path, tmp_path: Path) -> None:
    designs = tmp_path / "designs.toml"
    designs.write_text('[designs.wide]\nsms = 2\n[designs."more arithmetic"]\nplain_tflops.fp32 = 2\n')
    outcome = headroom("explore", example, "--gpu", "titan-xp", "--designs", designs, "--json", "-")
    assert [design["name"] for design in json.loads(outcome.out)["designs"]] == ["wide", "more arithmetic"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "nothing varies"),
        (("--vary", "sms"), "expected FIELD=SETTING"),
        (("--vary", "sms="), "expected FIELD=SETTING"),
        (("--vary", "sms=1,,2"), "sms is set to the text ''"),
        (("--vary", "sms=1", "--vary", "sms=2"), "--vary sms is given twice"),
        (("--vary", "smms=2"), "did you mean 'sms'?"),
        (("--vary", "sms=@4000"), "no design is a possible GPU"),
        (("--vary", "sms=2", "--designs", "examples/delta_designs.toml"), "give vary or designs"),
        (("--vary", "sms=2", "--cost", "nowhere.toml"), "cost file nowhere.toml: no such file"),
        (("--vary", "sms=2", "--batch", "1,2"), "one at a time"),
        (("--designs", "nowhere.toml"), "designs file nowhere.toml: no such file"),
    ],
)
def test_a_wrong_question_is_one_line_and_code_2(
    headroom, example: Path, options: tuple[str, ...], sentence: str
) -> None:
    outcome = headroom("explore", example, "--gpu", "titan-xp", *options)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("", "expected tables"), ("designs = 3", "expected tables"), ("[designs]\na = 3", "design 'a' is no table")],
)
def test_a_wrong_designs_file_is_a_sentence(
    headroom, example: Path, tmp_path: Path, content: str, sentence: str
) -> None:
    path = tmp_path / "designs.toml"
    path.write_text(content)
    outcome = headroom("explore", example, "--gpu", "titan-xp", "--designs", path)
    assert outcome.code == 2
    assert sentence in outcome.err


def test_no_input_is_overwritten(headroom, example: Path, tmp_path: Path) -> None:
    cost = tmp_path / "cost.toml"
    cost.write_text(COST)
    outcome = headroom("explore", example, *GRID, "--cost", cost, "--json", cost)
    assert outcome.code == 2
    assert cost.read_text() == COST
