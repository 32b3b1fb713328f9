"""What every experiment needs of the GPU: memory, timed launches, and answers that are checked before a time counts."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from headroom.measure.kernels.launch import Launcher
from headroom.measure.kernels.programs import SpinProgram

Launch = Callable[[], None]

#: How long the GPU is kept busy while the host enqueues what will be timed, in nanoseconds.
_HOLD_NS = 2_000_000

#: Timed launches; their median counts.
REPEATS = 7
QUICK_REPEATS = 3


class WrongAnswerError(Exception):
    """A kernel computed something else than it should: its time means nothing."""


class ProbeBench:
    """A GPU as the experiments use it. ``quick`` halves the points of curves and the repeats."""

    def __init__(self, launcher: Launcher, *, quick: bool = False) -> None:
        self.launcher = launcher
        self.torch = self.launcher.torch
        self.sms = self.launcher.sms
        self.threads_per_sm = int(self.launcher.properties.max_threads_per_multi_processor)
        self.l2_bytes = int(self.launcher.properties.L2_cache_size)
        self.quick = quick
        self.per_octave = 1 if quick else 2
        self._repeats = QUICK_REPEATS if quick else REPEATS
        self._spun = self.launcher.zeros(3)
        self.usual_clock_mhz = self._spin_clock_mhz()

    def time_us(self, launch: Launch) -> float:
        """The median time of ``launch``, between events on the GPU, of which one more run goes before."""
        launch()
        return float(statistics.median(self.laps_us(launch, self._repeats)))

    def laps_us(self, launch: Launch, repeats: int, hold_ns: int = _HOLD_NS) -> list[float]:
        """Times of ``launch`` in a row, while the host stays ahead by ``hold_ns``."""
        events = [self.torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
        self._hold(hold_ns)
        events[0].record()
        for event in events[1:]:
            launch()
            event.record()
        self.torch.cuda.synchronize()
        pairs = itertools.pairwise(events)
        return [1e3 * first.elapsed_time(second) for first, second in pairs]

    def captured(self, launch: Launch) -> Launch:
        """``launch`` as a CUDA graph; what it launches has been loaded before."""
        self.torch.cuda.synchronize()
        graph = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(graph):
            launch()
        replay: Launch = graph.replay
        return replay

    def _hold(self, ns: int) -> None:
        """Keep the GPU busy, so that it never waits for the host between what is timed."""
        clocks = ns * 2  # at 2 GHz; longer at lower clocks
        self.launcher.launch("spin", 1, 1, np.uint64(clocks), self._spun)

    def random_words(self, words: int) -> Any:
        """Random 32-bit words."""
        return self.torch.randint(-(2**31), 2**31, (words,), dtype=self.torch.int32, device=self.launcher.device)

    def clock_mhz(self, laps: Any) -> float:
        """The SM clock that laps show, clocks and nanoseconds in turn: as :class:`Lap` of our kernels stores them."""
        clocks, ns = laps.view(-1, 2).sum(dim=0).tolist()
        return 1e3 * float(clocks) / float(ns)

    def _spin_clock_mhz(self) -> float:
        """The SM clock of a GPU that is busy and not loaded, from ten milliseconds of counting."""
        spin = SpinProgram(self.launcher, 20_000_000)
        spin.launch()
        spin.forget()
        spin.launch()
        return spin.told().clock_mhz

    def forget(self) -> None:
        """Give memory that an experiment has finished with back to the driver."""
        self.torch.cuda.empty_cache()

    def free_bytes(self) -> int:
        free, _ = self.torch.cuda.mem_get_info(self.launcher.device)
        return int(free)


def expect(right: bool, what: str) -> None:
    """Refuse a measurement whose answer is not known to be right.

    Raises:
        WrongAnswerError: it is wrong.
    """
    if not right:
        raise WrongAnswerError(f"{what} is not what it should be; the time does not count")


def ring_sum(data: Any, loads: int) -> int:
    """The sum, modulo 2^32, of ``loads`` 16-byte loads that go round and round the ring ``data`` of 32-bit words."""
    words = data.view(-1)
    rounds, rest = divmod(4 * loads, words.numel())
    # Wrapping round in 64 bits changes nothing modulo 2^32.
    total: int = int(words.sum()) * rounds + int(words[:rest].sum())
    return total % 2**32
