"""``headroom predict``: a table in, the same table with answers out."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

HEADER = "op,n,c,h,w,k,r,s,padding,note\n"
GOOD = "conv2d,1,64,56,56,64,3,3,1,mine\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "layers.csv"
    path.write_text(HEADER + GOOD + "conv2d,1,64,56,56,0,3,3,1,bad\n" + GOOD)
    return path


def test_rows_keep_their_order_and_columns_and_a_bad_one_says_why(headroom, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "times.csv"
    outcome = headroom("predict", table, "--gpu", "v100-pcie-32gb", "--out", out)
    assert outcome.code == 0
    assert outcome.err == "headroom: 1 of 3 rows could not be predicted; the column 'error' says why\n"
    rows = list(csv.DictReader(out.open()))
    assert [row["note"] for row in rows] == ["mine", "bad", "mine"]
    assert float(rows[0]["time_us"]) > 0
    assert rows[0] == rows[2]
    assert rows[1]["time_us"] == ""
    assert "k" in rows[1]["error"]


def test_without_a_path_the_answer_goes_to_stdout(headroom, table: Path) -> None:
    outcome = headroom("predict", table, "--gpu", "t4")
    assert outcome.out.startswith("op,n,c,h,w,k,r,s,padding,note,time_us,error_pct,bottleneck,")


def test_explain_prints_every_term_with_its_equation(headroom, table: Path) -> None:
    outcome = headroom("predict", table, "--gpu", "titan-xp", "--explain")
    assert outcome.code == 0
    for equation in range(2, 19):
        assert f"eq. {equation}" in outcome.out or equation in (6, 8, 14, 15), equation
    assert "row 2: " in outcome.out


def test_the_table_is_never_overwritten(headroom, table: Path) -> None:
    before = table.read_text()
    outcome = headroom("predict", table, "--gpu", "t4", "--out", table)
    assert outcome.code == 2
    assert "is the input itself" in outcome.err
    assert table.read_text() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "empty"),
        ("n,c\n1,2\n", "op"),
        ("op,n,n\nconv2d,1,2\n", "twice"),
        ("op,m,n,k,Direction\nmatmul,1,2,3,dgrad\n", "has a column 'Direction': write it 'direction'"),
        ('op,m,n,k,note\nmatmul,1,2,3,"open\nmatmul,1,2,3,lost\n', "is not a CSV table: unexpected end of data"),
    ],
)
def test_a_table_that_is_none_is_exit_code_3(headroom, tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(content)
    outcome = headroom("predict", path, "--gpu", "t4")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert sentence in outcome.err
