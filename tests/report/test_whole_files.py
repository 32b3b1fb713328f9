"""Output files are whole or absent, whichever writer explodes and whenever."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headroom.errors import UsageError
from headroom.files import write_whole
from headroom.report.answer import to_json
from headroom.report.csv_table import csv_chunks
from headroom.report.html import render_html
from headroom.report.trace import trace_chunks
from report.factory import make_analysis

WRITERS: dict[str, Callable[[], str | Iterator[str]]] = {
    "json": lambda: to_json([make_analysis(hostile=False)]),
    "csv": lambda: csv_chunks([make_analysis(hostile=False)]),
    "trace": lambda: trace_chunks([make_analysis(hostile=False)]),
    "html": lambda: render_html([make_analysis(hostile=False)]),
}


def _exploding(content: str | Iterator[str], after: int) -> Iterator[str]:
    pieces = (
        iter([content[i : i + 1000] for i in range(0, len(content), 1000)]) if isinstance(content, str) else content
    )
    for position, piece in enumerate(pieces):
        if position == after:
            raise RuntimeError("exploded")
        yield piece


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("after", [0, 1, 20])
def test_a_writer_that_explodes_leaves_the_old_file_and_nothing_else(name: str, after: int, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old", "utf-8")
    with pytest.raises(RuntimeError, match="exploded"):
        write_whole(target, _exploding(WRITERS[name](), after))
    assert target.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_a_clear_error(
    name: str, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.write_text("old", "utf-8")

    def fail(*_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    with pytest.raises(UsageError, match="No space left on device; choose another path or free it"):
        write_whole(target, WRITERS[name]())
    assert target.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_finished_writer_leaves_the_whole_file(name: str, tmp_path: Path) -> None:
    content = WRITERS[name]()
    whole = content if isinstance(content, str) else "".join(content)
    assert write_whole(tmp_path / "out", whole).read_text("utf-8") == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
