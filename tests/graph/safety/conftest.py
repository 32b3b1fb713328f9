"""A warm reader for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from graph.safety.reading import Read, read_bytes
from headroom.graph.onnx.client import ReaderWorker


@pytest.fixture(scope="session")
def reader() -> Iterator[ReaderWorker]:
    with ReaderWorker() as worker:
        yield worker


@pytest.fixture
def read(reader: ReaderWorker, tmp_path: Path) -> Read:
    return partial(read_bytes, reader, tmp_path / "model.onnx")
