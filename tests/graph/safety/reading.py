"""Asking the reader what it makes of any bytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx.client import ReaderWorker

#: What the promise allows for any file.
PROMISED_S = 10.0

Read = Callable[[bytes], Graph | ModelError]


def read_bytes(reader: ReaderWorker, path: Path, content: bytes) -> Graph | ModelError:
    """A graph, or a ModelError of one printable line, in time; anything else is a failure."""
    path.write_bytes(content)
    start = time.monotonic()
    result: Graph | ModelError
    try:
        result = reader.read(path)
    except ModelError as error:
        result = error
    assert time.monotonic() - start < PROMISED_S
    assert not isinstance(result, ModelError) or str(result).isprintable(), repr(result)
    return result
