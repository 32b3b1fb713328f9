"""A turn on the GPU ends with what runs there, not with what was enqueued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from headroom.measure.cuda.bench import CudaBench


def test_the_gpu_is_handed_on_when_it_has_nothing_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    @contextmanager
    def lock() -> Iterator[None]:
        events.append("taken")
        yield
        events.append("given back")

    stream = SimpleNamespace(synchronize=lambda: events.append("ended"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    bench = object.__new__(CudaBench)  # a real one needs a GPU
    bench._turn = lock()  # type: ignore[assignment]
    with bench.turn():
        events.append("enqueued")
    assert events == ["taken", "enqueued", "ended", "given back"]
