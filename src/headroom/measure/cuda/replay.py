"""CUDA graphs to replay and events to time them with: what the stopwatch needs of a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import torch


class Event(Protocol):
    """A mark in the stream."""

    def record(self) -> None: ...

    def query(self) -> bool:
        """Whether the GPU has passed it."""

    def synchronize(self) -> None: ...

    def elapsed_time(self, end: Any) -> float:
        """Milliseconds from this mark to ``end``."""


class Replayable(Protocol):
    """Launches recorded in a graph."""

    def replay(self) -> None:
        """Enqueue all of them; returns at once."""


class Player(Protocol):
    """Makes graphs and events on one stream."""

    def capture(self, *launches: Callable[[], None], repeats: int = 1) -> Replayable:
        """Record ``launches`` in order, ``repeats`` times over, and make the graph ready."""

    def event(self) -> Event: ...


class CudaPlayer:
    """On the current CUDA stream, which must not be the default one: that cannot be captured."""

    def __init__(self) -> None:
        self._pool: Any = None
        self._keeper: Any = None
        self._mark = torch.zeros(1, device="cuda")

    def renew(self) -> None:
        """Let go of the memory that graphs allocated, and start a pool for those to come.

        A pool lives as long as a graph that uses it. Graphs share one, so that the memory that an operator
        allocated in an earlier graph is there for the next; one small graph keeps it alive in between.
        """
        self._pool, self._keeper = torch.cuda.graph_pool_handle(), None
        self._keeper = self.capture(self._mark.zero_)

    def capture(self, *launches: Callable[[], None], repeats: int = 1) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph(keep_graph=True)
        # Not torch.cuda.graph: it collects garbage and empties the allocator's cache at each capture.
        graph.capture_begin(*(() if self._pool is None else (self._pool,)), capture_error_mode="thread_local")
        try:
            for _ in range(repeats):
                for launch in launches:
                    launch()
            graph.capture_end()  # raises where a library swallowed the error that broke the capture off
        except BaseException:
            self._abandon(graph)
            raise
        graph.instantiate()
        return graph

    def _abandon(self, graph: Any) -> None:
        """End a capture that broke off: it is invalid, and the error that broke it off is what counts."""
        with suppress(RuntimeError):
            graph.capture_end()
        # An invalid capture ends before the allocator hears of it: it would go on serving this stream from the pool.
        with suppress(RuntimeError, AttributeError):
            torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self._pool)

    def event(self) -> Event:
        event: Event = torch.cuda.Event(enable_timing=True)
        return event
