"""What a network runs on, as far as timing it is concerned: a GPU, or the host where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from headroom.measure.bench import UnsupportedError

if TYPE_CHECKING:
    import torch

Run = Callable[[], Any]

#: Eager runs before a capture: libraries make their handles and workspaces, which a capture forbids.
_WARM_UP_RUNS = 3


class Device(Protocol):
    """Where networks run."""

    @property
    def torch(self) -> torch.device: ...

    def wall_us(self, run: Run, repeats: int) -> float:
        """Microseconds per run of ``repeats`` in a row by the wall clock, the device's last work included."""

    def captured(self, run: Run) -> Run:
        """``run`` as one CUDA graph, ready to be replayed.

        Raises:
            UnsupportedError: there are no CUDA graphs here.
        """

    def is_alive(self) -> bool:
        """Whether it still answers: after some errors nothing runs in this process any more."""

    def forget_peaks(self) -> None:
        """Free cached memory and start counting the peak anew."""

    def peak_bytes(self, *, reserved: bool) -> int | None:
        """Most bytes allocated, or ``reserved``: a CUDA graph keeps its whole pool although nothing is allocated."""


class Gpu:
    """An NVIDIA GPU through PyTorch."""

    def __init__(self, index: int = 0) -> None:
        import torch

        self.torch = torch.device("cuda", index)
        torch.cuda.set_device(self.torch)

    def wall_us(self, run: Run, repeats: int) -> float:
        import torch

        torch.cuda.synchronize()
        begin = time.perf_counter_ns()
        for _ in range(repeats):
            run()
        torch.cuda.synchronize()
        return (time.perf_counter_ns() - begin) / (1000.0 * repeats)

    def captured(self, run: Run) -> Run:
        import torch

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP_RUNS):
                run()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            kept = run()

        # What ``run`` reads is at fixed places, whose memory must not go to others; the outputs live in the graph's.
        def replay(_kept: Any = (run, kept)) -> None:
            graph.replay()

        return replay

    def is_alive(self) -> bool:
        import torch

        try:
            torch.cuda.synchronize()
        except RuntimeError:
            return False
        return True

    def forget_peaks(self) -> None:
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self, *, reserved: bool) -> int | None:
        import torch

        return int(torch.cuda.max_memory_reserved() if reserved else torch.cuda.max_memory_allocated())


class Host:
    """The CPU: what a rehearsal runs on. It tells no peak memory and has no CUDA graphs."""

    def __init__(self) -> None:
        import torch

        self.torch = torch.device("cpu")

    def wall_us(self, run: Run, repeats: int) -> float:
        begin = time.perf_counter_ns()
        for _ in range(repeats):
            run()
        return (time.perf_counter_ns() - begin) / (1000.0 * repeats)

    def captured(self, run: Run) -> Run:
        raise UnsupportedError("a CUDA graph needs a GPU")

    def is_alive(self) -> bool:
        return True

    def forget_peaks(self) -> None:
        pass

    def peak_bytes(self, *, reserved: bool) -> int | None:
        return None
