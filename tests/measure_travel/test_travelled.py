"""What a benchmark printed is taken whole or refused in one sentence that names the place."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

import headroom as hr
from headroom.cli.main import run as headroom
from headroom.errors import ModelError, StoreError
from headroom.graph.chain import Chain
from headroom.measure.plan import plan_tasks
from headroom.store.sources import source_of
from headroom.store.store import Store
from onnx_models import model, node

Lines = list[dict[str, Any]]


def _head() -> dict[str, Any]:
    libraries = {"cuda": "13.0", "cudnn": "9.19.0", "cublas": "13.1.0", "torch": ""}
    system = {"gpu": "NVIDIA H200", "driver": "580.159.04", **libraries}
    facts = {"system": system, "gpu_uuid": "GPU-1", "others": 0}
    return {"format": "headroom-benchmarks", "version": 1, "method": 1, "facts": facts}


def _timing(**changed: Any) -> dict[str, Any]:
    implementation = {"backend": "cudnn", "name": "eng22_k2=5", "layout": "nhwc", "math": "fp32"}
    told = {
        "implementation": implementation, "l2": "warm", "status": "ok", "reason": "", "median_us": 21.5, "iqr_us": 0.2,
        "samples": 24, "sm_clock_mhz": 1980, "workspace_bytes": 0, "relative_error": 0.002, "tolerance": 0.02,
        "gpu_uuid": "GPU-1", "measured_at": "2026-11-21T12:00:00Z",
    }  # fmt: skip
    return {**told, **changed}


@pytest.fixture
def chain(small_model: Path) -> Chain:
    return plan_tasks(hr.load(small_model), hr.DataType.BF16)[0].task.chain


@pytest.fixture
def lines(chain: Chain) -> Lines:
    told = {"digest": chain.digest, "title": chain.title, "layers": chain.to_json()}
    return [_head(), {"chain": told, "dtype": "bf16", "seconds": 1.5, "timings": [_timing()]}]


def _written(lines: Lines, folder: Path) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return file


def test_lines_become_rows_of_their_own_system_and_a_visit(lines: Lines, chain: Chain, tmp_path: Path) -> None:
    with Store.open(tmp_path / "db.sqlite") as store:
        from headroom.store.merge import merge

        assert merge(store, source_of([_written(lines, tmp_path)])).added == 1
        (summary,) = store.systems()
        assert store.timings(chain.digest, summary.system, hr.DataType.BF16)[0].median_us == 21.5
        assert store.finished(summary.system, hr.DataType.BF16, "all") == {chain.digest}


def _set(*path: Any, to: Any) -> Callable[[Lines], None]:
    def change(lines: Lines) -> None:
        place: Any = lines
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def _row(**changed: Any) -> Callable[[Lines], None]:
    return _set(1, "timings", 0, to=_timing(**changed))


def _twice(lines: Lines) -> None:
    lines[1]["timings"] *= 2


def _without(*path: Any) -> Callable[[Lines], None]:
    def change(lines: Lines) -> None:
        place: Any = lines
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_set(0, "version", to=2), "line 1: version 2, this Headroom reads 1"),
        (_set(0, "method", to=7), "line 1: the times were taken by method 7, this Headroom's is 1"),
        (_without(0, "facts"), "line 1 has no facts"),
        (_set(0, "facts", "system", "gpu", to=""), "line 1: facts.system needs a gpu"),
        (_set(0, "facts", "system", "torch", to="2.11"), "and no torch"),
        (_set(0, "facts", "system", "cudnn", to="nine"), "line 1: facts.system.cudnn is 'nine', which is no version"),
        (_without(0, "facts", "system", "driver"), "line 1: facts.system has no driver"),
        (_set(1, "chain", "digest", to="0" * 16), "line 2: chain 0000000000000000 does not have the layers"),
        (_set(1, "chain", "layers", 0, 2, 1, to=64), "does not have the layers that its digest stands for"),
        (_set(1, "chain", "layers", to=[]), "line 2"),
        (_set(1, "dtype", to="fp7"), "line 2: dtype is 'fp7', expected one of"),
        (_set(1, "color", to="red"), "line 2 has 'color', which no benchmark prints"),
        (_set(1, "seconds", to="long"), "line 2: seconds is 'long', expected a finite number"),
        (_row(median_us=0.01), "its time of 0.01 us is outside of what a launch takes"),
        (_row(median_us=-3), "its time of -3 us is outside"),
        (_row(median_us=21_500_000_000), "is outside of what a launch takes"),
        (_row(median_us=None), "it is ok and has no time"),
        (_row(median_us=float("nan")), "NaN stands where a number has to"),
        (_row(median_us="21 ms"), "median_us is '21 ms', expected a finite number"),
        (_row(time_ms=2), "has 'time_ms', which is no field of a Timing"),
        (_row(samples=3), "it is ok with 3 samples; 10 are needed"),
        (_row(iqr_us=20), "it is ok with a spread of 20 us around 21.5 us"),
        (_row(relative_error=0.5), "it is ok although its output was not found right"),
        (_row(sm_clock_mhz=1), "its clock of 1 MHz is none"),
        (_row(l2="tepid"), "its state of the L2 cache is 'tepid'"),
        (_row(status="fine"), "status is 'fine', expected one of"),
        (_row(gpu_uuid="GPU-2"), "was measured on another GPU ('GPU-2') than the first line says"),
        (_row(measured_at="yesterday"), "measured_at is 'yesterday', expected a time in UTC"),
        (_row(implementation={"backend": "magic", "name": "x", "layout": "", "math": "fp32"}), "is of 'magic'"),
        (_row(measured_at="2026-13-45T99:99:99Z"), "expected a time in UTC that is over"),
        (_row(measured_at="2999-01-01T00:00:00Z"), "expected a time in UTC that is over"),
        (_row(tolerance=50.0), "it is ok although its output was not found right"),
        (_row(relative_error=-1.0), "it is ok although its output was not found right"),
        (_row(workspace_bytes=-1), "its workspace or its clock events are below nothing"),
        (_row(reason="x" * 5000), "it has a text of 5000 characters"),
        (_set(1, "timings", 0, "implementation", "name", to="eng\ud800"), "it has a text that cannot be printed"),
        (_set(0, "facts", "system", "gpu", to="NVIDIA \x1b[31m"), "facts.system.gpu is 'NVIDIA \\x1b[31m'"),
        (_set(1, "seconds", to=-5), "line 2: seconds is -5, which no layer takes"),
        (lambda lines: lines.append(lines[1]), "line 3 is of the same layer and data type as line 2"),
        (lambda lines: lines.extend(lines[:]), "line 3 begins another run: import the output of each by itself"),
        (_twice, "line 2: one implementation has two rows"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(
    change: Callable[[Lines], None], sentence: str, lines: Lines, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change(lines)
    file, database = _written(lines, tmp_path), tmp_path / "db.sqlite"
    assert headroom(["db", "import", str(file), "--db", str(database)]) == 5
    (said,) = capfd.readouterr().err.splitlines()
    assert sentence in said
    assert str(file) in said
    with Store.open(database) as store:
        assert store.systems() == ()


@pytest.mark.parametrize(
    ("l2", "reason"),
    [("warm", "its arithmetic takes at this GPU's peak"), ("cold", "reading its operands from DRAM takes")],
)
def test_a_time_below_what_physics_takes_is_refused(l2: str, reason: str, tmp_path: Path) -> None:
    rows = 4096 if l2 == "warm" else 8
    onnx.save(
        model([node("MatMul", "x w", "y")], {"x": [rows, 4096]}, weights={"w": [4096, 4096]}), tmp_path / "m.onnx"
    )
    chain = plan_tasks(hr.load(tmp_path / "m.onnx"), hr.DataType.BF16)[0].task.chain
    told = {"digest": chain.digest, "title": chain.title, "layers": chain.to_json()}
    row = _timing(median_us=3.5, iqr_us=0.01, l2=l2)
    file = _written([_head(), {"chain": told, "dtype": "bf16", "seconds": 1, "timings": [row]}], tmp_path)
    with pytest.raises(StoreError, match=rf"its time of 3.5 us is below the .* us that {reason}"):
        source_of([file])


@pytest.mark.parametrize("size", [10**400, 1 << 62, -8], ids=["huge", "large", "negative"])
def test_layers_whose_sizes_are_no_layers_are_refused(size: int, tmp_path: Path) -> None:
    onnx.save(model([node("MatMul", "x w", "y")], {"x": [16, 32]}, weights={"w": [32, 64]}), tmp_path / "m.onnx")
    layers = plan_tasks(hr.load(tmp_path / "m.onnx"), hr.DataType.BF16)[0].task.chain.to_json()
    hostile = json.loads(re.sub(r"\b32\b", str(size), json.dumps(layers)))
    told = {"digest": "0" * 32, "title": "", "layers": hostile}
    with contextlib.suppress(ModelError):
        told["digest"] = Chain.from_json(hostile).digest
    file = _written([_head(), {"chain": told, "dtype": "bf16", "seconds": 1, "timings": [_timing()]}], tmp_path)
    with pytest.raises(StoreError, match="line 2"):
        source_of([file])


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\n\n"),
        lambda text: text.rstrip(),
    ],
    ids=["crlf", "byte-order mark", "blank lines", "no last newline"],
)
def test_what_editors_do_to_a_file_changes_nothing(
    edit: Callable[[bytes], bytes], lines: Lines, tmp_path: Path
) -> None:
    file = _written(lines, tmp_path)
    file.write_bytes(edit(file.read_bytes()))
    assert len(list(source_of([file]).records())) == 1


def test_a_compressed_file_is_to_be_unpacked(lines: Lines, tmp_path: Path) -> None:
    file = _written(lines, tmp_path)
    file.write_bytes(gzip.compress(file.read_bytes()))
    with pytest.raises(StoreError, match="is compressed: unpack it first"):
        source_of([file])


def test_a_file_larger_than_any_run_prints_is_not_read(lines: Lines, tmp_path: Path) -> None:
    file = _written(lines, tmp_path)
    os.truncate(file, 1 << 30)  # a hole: it takes no room
    with pytest.raises(StoreError, match="has 1073741824 bytes"):
        source_of([file])


@pytest.mark.parametrize(
    "text", ["", "{", '{"format":"headroom-benchmarks"', '{"format":"headroom-benchmarks",\n', "\x00\n"]
)
def test_what_is_no_output_of_a_benchmark_is_an_error_of_the_database(text: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text, "utf-8")
    with pytest.raises(StoreError):
        source_of([file])


def test_a_line_nested_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(_head()) + "\n" + "[" * 200_000 + "\n", "utf-8")
    with pytest.raises(StoreError, match="line 2 is"):
        source_of([file])


def test_a_layer_that_was_not_finished_is_taken_up_again(lines: Lines, chain: Chain, tmp_path: Path) -> None:
    rest = {"backend": "bench", "name": "rest", "layout": "", "math": "fp32"}
    lines[1]["timings"].append({"implementation": rest, "l2": "warm", "status": "timeout", "gpu_uuid": "GPU-1"})
    (record,) = source_of([_written(lines, tmp_path)]).records()
    assert record.visits == ()
