"""Which implementation a slim layer gets: by measurement, and never one slower than the dense layer's best plan.

Whoever measures hands over anything of :class:`~headroom.measure.bench.Program`'s shape and a function that times them;
on a GPU that is :meth:`headroom.measure.cuda.bench.CudaBench.time`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headroom.errors import UsageError
from headroom.measure.bench import Program

#: The name of the dense layer's fastest implementation.
DENSE = "dense"
#: By how much another must be faster than the dense layer: what two measurements of one program differ by.
_NOISE = 0.02
_ROUNDS = 5

#: Microseconds per launch of one program, all in the same state of the cache.
Time = Callable[[Program], float]


@dataclass(frozen=True)
class Choice:
    """What was chosen, and what was measured: microseconds by name, medians over the rounds.

    ``over`` names what the others had to beat.
    """

    name: str
    times_us: Mapping[str, float]
    over: str = DENSE

    @property
    def speedup(self) -> float:
        """Over the dense layer, or whatever was to be beaten; never below 1."""
        return self.times_us[self.over] / self.times_us[self.name]


def choose(programs: Mapping[str, Program], time_us: Time, *, over: str = DENSE, rounds: int = _ROUNDS) -> Choice:
    """Time all programs by turns and take the fastest; the one named ``over`` where no other is faster beyond noise.

    Raises:
        UsageError: it is not among them.
    """
    if over not in programs:
        raise UsageError(f"without the layer's {over} implementation nothing says what is faster; add it")
    seen: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            seen[name].append(time_us(program))
    return chosen({name: statistics.median(times) for name, times in seen.items()}, over)


def chosen(times_us: Mapping[str, float], over: str = DENSE) -> Choice:
    """The choice that these times lead to."""
    fastest = min(times_us, key=lambda name: times_us[name])
    name = fastest if times_us[fastest] < times_us[over] * (1 - _NOISE) else over
    return Choice(name, dict(times_us), over)
