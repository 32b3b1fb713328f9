"""``headroom analyze`` with a performance database: what it answers from, and what it says when it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import headroom as hr
from measured_rows import SYSTEM
from recorded import record


@pytest.fixture(scope="module")
def database(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("rows") / "h200.sqlite", hr.load(example), leave_out=5)


def test_auto_answers_from_the_database_and_names_the_system(headroom, example: Path, database: Path) -> None:
    outcome = headroom("analyze", example, "--gpu", "h200", "--dtype", "bf16", "--db", database)
    assert (outcome.code, outcome.err) == (0, "")
    text = " ".join(outcome.out.split())
    assert "layers are measured" in text
    assert f"(system {SYSTEM.id})" in text
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_measured_times_alone_are_an_answer_where_there_are_some(headroom, example: Path, database: Path) -> None:
    question = ("analyze", example, "--gpu", "h200", "--dtype", "bf16", "--db", database, "--source", "measured")
    answer = json.loads(headroom(*question, "--json", "-").out)
    assert {layer["source"] for layer in answer["layers"]} == {"measured"}
    assert answer["bounds"]["source"] == "measured"


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--batch", "8"], 5, "nothing has been measured on H200 SXM 141GB for this model at batch 8 in bf16"),
        (["--dtype", "fp16"], 5, "run `headroom measure MODEL --batch 1 --dtype fp16` on that GPU"),
        (["--system", "ffff"], 5, "name one of"),
    ],
)
def test_measured_times_alone_where_there_are_none_are_one_line_and_exit_code_5(
    headroom, example: Path, database: Path, options: list[str], code: int, sentence: str
) -> None:
    outcome = headroom("analyze", example, "--gpu", "h200", "--db", database, "--source", "measured", *options)
    assert outcome.code == code
    assert outcome.err.count("\n") == 1
    assert sentence in outcome.err


@pytest.mark.parametrize("is_named_by", ["--db", "HEADROOM_DB"])
def test_a_database_that_is_named_and_not_there_is_database_trouble(
    headroom, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_named_by: str
) -> None:
    nowhere = tmp_path / "nowhere.sqlite"
    if is_named_by == "HEADROOM_DB":
        monkeypatch.setenv(is_named_by, str(nowhere))
    options = ("--db", nowhere) if is_named_by == "--db" else ()
    outcome = headroom("analyze", example, "--gpu", "h200", *options)
    assert (outcome.code, outcome.err.count("\n")) == (5, 1)
    assert outcome.err.startswith(f"headroom: there is no database at {nowhere}: headroom measure makes one")
    assert headroom("analyze", example, "--gpu", "h200", "--source", "predicted").code == 0


def test_one_system_cannot_answer_for_two_gpus(headroom, example: Path, database: Path) -> None:
    gpus = ("--gpu", "h200", "--gpu", "l4")
    outcome = headroom("analyze", example, *gpus, "--db", database, "--system", SYSTEM.id)
    assert outcome.code == 2
    assert "leave out --system or --gpu" in outcome.err


def test_the_database_is_never_overwritten_by_an_answer(headroom, example: Path, database: Path) -> None:
    before = database.read_bytes()
    for name in (database, f"sqlite:///{database}"):
        outcome = headroom("analyze", example, "--gpu", "h200", "--db", name, "--json", database)
        assert outcome.code == 2
        assert "is the input itself" in outcome.err
    assert database.read_bytes() == before


def test_the_measured_latency_is_held_against_the_limit(headroom, example: Path, database: Path) -> None:
    question = ("analyze", example, "--gpu", "h200", "--db", database, "--quiet", "--fail-above-us")
    assert headroom(*question, 800).code == 1
    assert headroom(*question, 900).code == 0


def test_only_an_answer_from_a_database_loads_sqlalchemy(example: Path) -> None:
    code = (
        "import sys, headroom as hr;"
        f"hr.analyze(hr.load({str(example)!r}), gpu='h200', source='predicted').to_dict();"
        "print('sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
