"""A GPU with a clock that only moves when something runs on it or somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class SimulatedGpu:
    """Player, state and clock in one. Kernels take what ``kernel`` says; each replay adds what its start costs.

    Time on the GPU and on the host is one: the host's questions take ``question_us`` each. ``delays_us`` is what
    disturbs single replays, by their number.
    """

    start_us: float = 4.0
    question_us: float = 190.0
    sm_clock: Callable[[float], float] = lambda now_us: 1980.0
    now_us: float = 0.0
    busy_until_us: float = 0.0
    replays: list[float] = field(default_factory=list)
    captured: list[int] = field(default_factory=list)
    delays_us: Mapping[int, float] = field(default_factory=dict)
    _recording: list[float] = field(default_factory=list)

    def kernel(self, time_us: float) -> Callable[[], None]:
        """A launch that takes that long."""
        return lambda: self._recording.append(time_us)

    def capture(self, *launches: Callable[[], None], repeats: int = 1) -> Replay:
        self._recording = []
        for _ in range(repeats):
            for launch in launches:
                launch()
        self.captured.append(len(self._recording))
        return Replay(self, sum(self._recording))

    def event(self) -> Mark:
        return Mark(self)

    def enqueue(self, time_us: float) -> None:
        time_us += self.delays_us.get(len(self.replays), 0.0)
        self.busy_until_us = max(self.busy_until_us, self.now_us) + time_us
        self.replays.append(time_us)

    def pause(self, seconds: float) -> None:
        self.now_us += 1e6 * seconds

    def sm_clock_mhz(self) -> float | None:
        clock = self.sm_clock(self.now_us)
        self.now_us += self.question_us
        return clock

    def memory_clock_mhz(self) -> float | None:
        return 3201.0

    def clock_events(self) -> int | None:
        return 0

    @property
    def gpu_us(self) -> float:
        """Time that was spent on kernels so far."""
        return sum(self.replays)


@dataclass
class Replay:
    gpu: SimulatedGpu
    time_us: float

    def replay(self) -> None:
        self.gpu.enqueue(self.time_us + self.gpu.start_us)


@dataclass
class Mark:
    gpu: SimulatedGpu
    at_us: float = 0.0

    def record(self) -> None:
        self.at_us = max(self.gpu.busy_until_us, self.gpu.now_us)

    def query(self) -> bool:
        return self.gpu.now_us >= self.at_us

    def synchronize(self) -> None:
        self.gpu.now_us = max(self.gpu.now_us, self.at_us)

    def elapsed_time(self, end: Mark) -> float:
        return (end.at_us - self.at_us) / 1000
