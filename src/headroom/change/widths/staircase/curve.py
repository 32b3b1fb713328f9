"""The staircase: what a layer takes at each width, with where each figure comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headroom.errors import UsageError
from headroom.predict.prediction import Source

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """A layer at one width.

    ``error_pct`` is the error bar of ``latency_us``: the half-width inside which nine of ten measurements fall.
    ``noise_pct`` is how far the same point, found again in the same way, moves (one standard deviation): 0 for a
    prediction, which errs but repeats exactly. ``utilisation`` is the mean share of busy SMs over all waves, ``ctas``
    the grid, ``waves`` the grid over the SMs, rounded up; ``None`` where nothing tells. ``implementation`` is what the
    time stands for.
    """

    width: int
    latency_us: float
    flops: int
    source: Source
    error_pct: float = 0.0
    noise_pct: float = 0.0
    utilisation: float | None = None
    ctas: int | None = None
    waves: int | None = None
    implementation: str = ""

    @property
    def tflops(self) -> float:
        """Throughput in 10^12 flops per second (equation 1: workload over latency)."""
        return 1e-6 * self.flops / self.latency_us


@dataclass(frozen=True)
class Staircase:
    """Latency against one width of a layer, the other held at ``fixed``.

    ``axis`` is ``out`` (output channels or features vary, ``fixed`` are the input's) or ``in``. ``points`` stand in
    order of width, each width once.

    Raises:
        UsageError: there is no point, or the points are not in order.
    """

    layer: str
    axis: str
    fixed: int
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        widths = [point.width for point in self.points]
        if not widths or any(after <= before for before, after in pairwise(widths)):
            raise UsageError(f"the staircase of {self.layer or 'a layer'} needs widths in order, each once: {widths}")

    @cached_property
    def widths(self) -> Floats:
        return _column(point.width for point in self.points)

    @cached_property
    def latencies_us(self) -> Floats:
        return _column(point.latency_us for point in self.points)

    @cached_property
    def noise_pct(self) -> Floats:
        return _column(point.noise_pct for point in self.points)

    def at(self, width: int) -> Point | None:
        """The point at ``width``, where there is one."""
        return next((point for point in self.points if point.width == width), None)


def _column(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)
