"""``headroom db import benanza`` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

TABLES = Path(__file__).resolve().parents[1] / "benanza_tables"


def test_tables_are_imported_listed_and_answer(headroom, shared_models: Path, tmp_path: Path) -> None:
    database = tmp_path / "rows.sqlite"
    done = headroom("db", "import", "benanza", *sorted(TABLES.glob("*.csv")), "--db", database)
    assert done.code == 0, done.err
    assert "measurements added" in done.out
    assert "TITAN Xp, CUDA 10.1, cuDNN 7.6.3" in headroom("db", "list", "--db", database).out.replace("\n", " ")
    assert headroom("db", "check", "--db", database).code == 0
    for model, least in (("light_squeezenet", 0.9), ("light_bvlc_alexnet", 0.9)):
        answer = tmp_path / f"{model}.json"
        file = shared_models / f"{model}.onnx"
        asked = headroom("analyze", file, "--gpu", "titan-xp", "--dtype", "fp32", "--db", database, "--json", answer)
        assert asked.code == 0, asked.err
        layers = json.loads(answer.read_text())["layers"]
        total_us = sum(layer["time_us"] * layer["count"] for layer in layers)
        measured_us = sum(layer["time_us"] * layer["count"] for layer in layers if layer["source"] == "measured")
        assert measured_us > least * total_us


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("kernels", "CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM", "CUDNN_CONVOLUTION_FWD_ALGO_GUESS"),
        ("kernel_times", "real_ns", "time"),
        ("kernel_times", ",ns\n", ",ns,1\n"),
        ("kernel_times", "TITAN_Xp,1,", "TITAN_Xp,-1,"),
    ],
)
def test_a_bad_table_is_one_sentence_and_nothing_is_imported(
    headroom, tmp_path: Path, name: str, old: str, new: str
) -> None:
    folder = tmp_path / "tables"
    shutil.copytree(TABLES, folder)
    file = folder / f"benanza_{name}.csv"
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    database = tmp_path / "rows.sqlite"
    done = headroom("db", "import", "benanza", folder, "--db", database)
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("headroom: ")
    assert len(done.err.strip().splitlines()) == 1
    assert not database.exists()


def test_a_database_that_cannot_be_written_is_database_trouble(headroom, tmp_path: Path) -> None:
    done = headroom("db", "import", "benanza", TABLES, "--db", tmp_path / "no" / "such" / "\0bad")
    assert done.code in (2, 5)
    assert len(done.err.strip().splitlines()) == 1
