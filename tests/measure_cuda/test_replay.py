"""What is left of a capture that broke off: nothing that the next one would stumble over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from headroom.measure.cuda.replay import CudaPlayer


class BrokenGraph:
    """A graph whose capture was invalidated: ending it fails, and leaves the allocator serving from the pool."""

    def __init__(self, keep_graph: bool) -> None:
        assert keep_graph

    def capture_begin(self, *pool: Any, capture_error_mode: str) -> None:
        pass

    def capture_end(self) -> None:
        raise RuntimeError("operation failed due to a previous error during capture")


def raises() -> None:
    raise RuntimeError("CUDNN_STATUS_INTERNAL_ERROR")


@pytest.mark.parametrize("launch", [raises, lambda: None], ids=["told", "swallowed"])
def test_a_capture_that_broke_off_gives_its_pool_back(
    launch: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []
    monkeypatch.setattr(torch.cuda, "CUDAGraph", BrokenGraph)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda *where: ended.append(where), raising=False)
    player = CudaPlayer.__new__(CudaPlayer)
    player._pool = (0, 1)
    with pytest.raises(RuntimeError):
        player.capture(launch)
    assert ended == [(0, (0, 1))]
