"""Large tables: read, answered and written a part at a time, by several processes where that helps."""

from __future__ import annotations

import csv
import io
import os
import signal
import time
import tracemalloc
from pathlib import Path

import pytest

from headroom.errors import ModelError
from headroom.gpu.sheets import load_gpu
from headroom.predict import table_child, table_stream
from headroom.predict.table import csv_chunks, predict_table
from headroom.predict.table_child import Child, Task
from headroom.predict.table_stream import TableSummary, open_stream

V100 = load_gpu("v100-pcie-32gb")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Rows of every sort, some bad, some too long or too short; blank lines; Windows line ends here and there."""
    lines = ["", "op,note,n,c,h,w,k,r,s,m,padding,dtype"]
    for i in range(6000):
        lines.append(f"conv2d,é{i},{i % 8 + 1},{i % 70 + 1},14,14,64,3,3,,1,{'fp16' if i % 2 else 'fp32'}")
        lines.append(f"matmul,,{i % 100 + 1},,,,64,,,{i % 33 + 1},,fp16" + ("\r" if i % 5 == 0 else ""))
    lines[77], lines[99], lines[123] = "conv2d,x", "conv2d,x,0,1,1,1,1,1,1,,,", "matmul,,1,,,,2,,,3,,,too,long"
    lines.insert(500, "")
    path = tmp_path / "large.csv"
    path.write_bytes("\n".join(lines).encode())
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_stream, "_PART_CHARACTERS", 30_000)
    monkeypatch.setattr(table_stream, "ROWS_AT_ONCE", 1000)


@pytest.mark.usefixtures("small_parts")
def test_in_parts_by_one_or_several_processes_the_answer_is_the_same_to_the_byte(large: Path) -> None:
    whole = "".join(csv_chunks(predict_table(large, V100)))
    for children in (1, 2):
        stream = open_stream(large, V100, children=children)
        assert "".join(stream.chunks()) == whole
        assert stream.summary == TableSummary(12_000, 3)


@pytest.mark.usefixtures("small_parts")
def test_a_child_that_is_killed_costs_nothing(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "".join(open_stream(large, V100, children=1).chunks())
    start = Child.__enter__

    def short_lived(child: Child) -> Child:
        start(child)
        assert child._process is not None
        os.kill(child._process.pid, signal.SIGKILL)
        return child

    monkeypatch.setattr(Child, "__enter__", short_lived)
    assert "".join(open_stream(large, V100, children=2).chunks()) == whole


@pytest.mark.usefixtures("small_parts")
def test_no_child_outlives_a_reader_that_stops(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = []
    start = Child.__enter__

    def noted(child: Child) -> Child:
        processes.append(start(child)._process)
        return child

    monkeypatch.setattr(Child, "__enter__", noted)
    chunks = open_stream(large, V100, children=2).chunks()
    next(chunks)
    next(chunks)
    chunks.close()
    assert [process.poll() for process in processes] == [-signal.SIGKILL] * 2


@pytest.mark.usefixtures("small_parts")
def test_children_run_nothing_of_the_current_folder(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "strangers"
    folder.mkdir()
    for library in ("queue", "csv", "numpy"):
        (folder / f"{library}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w'); raise SystemExit")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Task, "answer_text", None)  # nor is a part answered here because the children fail
    assert list(open_stream(large, V100, children=2).chunks())
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("small_parts")
def test_children_start_side_by_side_and_are_ended_before_they_are_ready(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_child, "_START", "import time; time.sleep(60)")
    started = time.monotonic()
    with Child(open_stream(large, V100).task), Child(open_stream(large, V100).task):
        pass
    assert time.monotonic() - started < 20


def test_small_tables_and_those_whose_lines_may_not_be_rows_are_read_by_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_stream, "_LEAST_CHARACTERS", 100)
    row = "matmul,1,2,3\n"
    path = tmp_path / "table.csv"
    many = {}
    for name, content in {
        "plain": row * 20,
        "quoted": row * 20 + '"matmul",1,2,3\n',
        "mac": row.replace("\n", "\r") * 20,
    }.items():
        path.write_bytes(f"op,m,n,k\n{content}".encode())
        many[name] = open_stream(path, V100).children > 1
    assert many == {"plain": len(os.sched_getaffinity(0)) > 1, "quoted": False, "mac": False}


def test_quoted_cells_with_line_ends_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('op,m,n,k,note\nmatmul,1,2,3,"two\nlines, ""quoted"""\n')
    text = "".join(open_stream(path, V100).chunks())
    assert next(csv.DictReader(io.StringIO(text)))["note"] == 'two\nlines, "quoted"'


def test_a_table_that_is_no_csv_is_refused_while_it_streams(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("op,m,n,k\n" + "matmul,1,2,3\n" * 10 + f"matmul,{'1' * 200_000},2,3\n")
    with pytest.raises(ModelError, match="is not a CSV table"):
        list(open_stream(path, V100).chunks())


def test_memory_does_not_grow_with_the_answer(tmp_path: Path) -> None:
    peaks = []
    for rows in (10_000, 40_000):
        path = tmp_path / f"{rows}.csv"
        path.write_text("op,m,n,k\n" + "matmul,512,768,1024\n" * rows)
        stream = open_stream(path, V100, children=1)
        tracemalloc.start()
        for _ in stream.chunks():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
