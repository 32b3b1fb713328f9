"""The exported program, compiled without a warning and run: from a model's file to rows that answers are made of."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headroom.cli.main import run as headroom
from headroom.store.rows import Status, Timing
from headroom.store.sources import source_of
from headroom.store.travelled import TravelledSource
from measure_travel.building import Built


def _source(text: str, folder: Path) -> TravelledSource:
    file = folder / "rows.jsonl"
    file.write_text(text, "utf-8")
    source = source_of([file])
    assert isinstance(source, TravelledSource)
    return source


def _timings(source: TravelledSource) -> list[Timing]:
    return [timing for record in source.records() for timing in record.timings]


@pytest.fixture
def printed(built: Built) -> str:
    done = built.run()
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_printed_is_imported_and_answers_the_model(
    built: Built, printed: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows, database, answer = tmp_path / "rows.jsonl", tmp_path / "db.sqlite", tmp_path / "answer.json"
    rows.write_text(printed, "utf-8")
    assert headroom(["db", "import", str(rows), "--db", str(database)]) == 0
    words = ["analyze", str(built.model), "--gpu", "h200", "--dtype", "bf16", "--source", "measured"]
    assert headroom([*words, "--db", str(database), "--json", str(answer)]) == 0
    told = json.loads(answer.read_text("utf-8"))
    assert told["coverage"]["known_share"] == 1.0
    assert {layer["source"] for layer in told["layers"]} == {"measured"}
    assert headroom(["db", "check", "--db", str(database)]) == 0
    assert headroom(["db", "import", str(rows), "--db", str(database)]) == 0
    assert "0 measurements added" in capfd.readouterr().out.splitlines()[-1]


def test_every_library_runs_what_its_cases_describe(printed: str, tmp_path: Path) -> None:
    timings = _timings(_source(printed, tmp_path))
    timed = Counter(row.implementation.backend for row in timings if row.status is Status.OK)
    assert set(timed) == {"cudnn", "cudnn-legacy", "cublaslt", "cublas"}
    # The references of the program and the loops of the fake libraries were written apart, and agree.
    exact = [row for row in timings if row.status is Status.OK and row.tolerance == 1e-4]
    assert len(exact) > 50
    assert max(row.relative_error or 0.0 for row in exact) < 1e-6


def test_a_plan_that_leaves_its_output_unwritten_is_no_time(printed: str, tmp_path: Path) -> None:
    rows = [row for row in _timings(_source(printed, tmp_path)) if row.implementation.name.startswith("eng3")]
    assert rows
    assert {(row.status, row.reason) for row in rows} == {
        (Status.FAILED, "its output holds values that are not numbers")
    }


def test_the_fastest_are_timed_cold_as_well_and_a_flush_is_not_in_their_time(printed: str, tmp_path: Path) -> None:
    for record in _source(printed, tmp_path).records():
        times = {(row.implementation, row.l2): row.median_us for row in record.timings if row.status is Status.OK}
        cold = {implementation: time for (implementation, l2), time in times.items() if l2 == "cold"}
        assert 1 <= len(cold) <= 2
        for implementation, time_us in cold.items():
            warm_us = times[implementation, "warm"]
            assert warm_us is not None
            assert time_us is not None
            # The fake GPU takes 1.3 times as long in a cold cache.
            assert time_us / warm_us == pytest.approx(1.3, rel=0.03)
    best = min(
        row.median_us or 0.0 for row in _timings(_source(printed, tmp_path)) if "algo66" in row.implementation.name
    )
    assert best == pytest.approx(20.0, rel=0.02)


def test_system_clock_and_driver_are_told(printed: str, tmp_path: Path) -> None:
    source = _source(printed, tmp_path)
    (system,) = source.systems().values()
    assert system.title == "NVIDIA H200, driver 580.159.04, CUDA 13.0, cuDNN 9.19.0, cuBLAS 13.1.0"
    row = next(row for row in _timings(source) if row.status is Status.OK)
    assert (row.sm_clock_mhz, row.memory_clock_mhz, row.throttle_mask) == (1980.0, 3201.0, 0)


def test_without_the_drivers_library_times_have_no_clock(built: Built, tmp_path: Path) -> None:
    done = subprocess.run([built.program], capture_output=True, text=True, check=False, timeout=300)
    # On a machine with a driver it is found, but does not know the fake GPU.
    rows = [row for row in _timings(_source(done.stdout, tmp_path)) if row.status is Status.OK]
    assert rows
    assert {row.sm_clock_mhz for row in rows} == {None}


def test_one_plan_that_aborts_costs_that_plan(built: Built, tmp_path: Path) -> None:
    done = built.run(FAKE_ABORT="eng1")
    assert done.returncode == 0, done.stderr
    rows = _timings(_source(done.stdout, tmp_path))
    lost = [row for row in rows if row.implementation.name.startswith("eng1")]
    assert lost
    assert {row.status for row in lost} == {Status.FAILED}
    assert {row.reason for row in lost} == {"it ended the process by signal 6"}
    assert any(row.status is Status.OK for row in rows if row.implementation.name.startswith("eng2"))


def test_without_the_graph_api_the_classic_functions_answer_and_a_row_says_so(built: Built, tmp_path: Path) -> None:
    done = built.run(graphs=False)
    assert done.returncode == 0, done.stderr
    rows = _timings(_source(done.stdout, tmp_path))
    timed = {row.implementation.backend for row in rows if row.status is Status.OK}
    assert timed == {"cudnn-legacy", "cublaslt", "cublas"}
    (reason,) = {row.reason for row in rows if row.implementation.backend == "cudnn"}
    assert "built without cuDNN's graph API" in reason


def test_an_output_that_was_cut_off_gives_its_whole_lines(printed: str, tmp_path: Path) -> None:
    whole = len(list(_source(printed, tmp_path).records()))
    assert len(list(_source(printed[: len(printed) - 200], tmp_path).records())) == whole - 1


def test_a_gpu_that_does_not_exist_is_one_sentence(built: Built) -> None:
    done = built.run("--gpu", "3")
    assert done.returncode == 4
    assert "cudaSetDevice" in done.stderr.splitlines()[0]
    assert done.stdout == ""


@pytest.mark.parametrize("words", [("--gpu", "two"), ("--gpu",), ("--gpu", "-1"), ("--fast",)])
def test_words_that_mean_nothing_give_the_usage(built: Built, words: tuple[str, ...]) -> None:
    done = built.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_the_list_names_what_would_be_measured(built: Built) -> None:
    lines = built.run("--list").stdout.splitlines()
    assert len(lines) == len(set(lines)) > 10
    assert any(line.endswith("bf16 convolution + relu") for line in lines)


def test_names_of_algorithms_are_those_that_the_stopwatch_reads(printed: str, tmp_path: Path) -> None:
    from headroom.measure.backends.lt.names import parsed

    names = {
        row.implementation.name
        for row in _timings(_source(printed, tmp_path))
        if row.implementation.backend == "cublaslt"
    }
    algorithms: list[Any] = [parsed(name) for name in sorted(names)]
    assert [algorithm.attributes["algo"] for algorithm in algorithms] == [66, 67]
    # The second one's attributes alone do not bring it back.
    assert [bool(algorithm.opaque) for algorithm in algorithms] == [False, True]
