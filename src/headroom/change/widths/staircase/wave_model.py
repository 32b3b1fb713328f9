"""The paper's model of the staircase (equation 3), fitted: a cycle's time and the width that fills a wave.

Equation 3 is ``L = dL * ceil(B / S)`` with ``B = threads per filter * F / threads per block``: of the width F it has
two unknowns, the time ``dL`` of a processing cycle and the width ``F1 = S * threads per block / threads per filter``
that fills all S SMs once, so that ``L = dL * ceil(F / F1)``. Both are fitted by least squares of the relative error.
Beside it stands the same with a constant ``L0`` for what a layer of no width would take (launch, prologue): the paper
has none, and short layers cannot be described without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headroom.change.widths.staircase.curve import Floats, Staircase

#: Most waves at the widest layer that are looked for: beyond, one step is lost in the noise of the next.
MOST_WAVES = 32


@dataclass(frozen=True, slots=True)
class WaveModel:
    """``overhead_us + cycle_us * ceil(width / wave_width)``.

    ``residual_pct`` is the mean and ``worst_pct`` the largest absolute error over the points, in percent of what they
    are.
    """

    cycle_us: float
    wave_width: float
    overhead_us: float
    residual_pct: float
    worst_pct: float

    def waves(self, width: int) -> int:
        return int(_waves(np.array([float(width)]), np.array([self.wave_width]))[0, 0])

    def latency_us(self, width: int) -> float:
        return self.overhead_us + self.cycle_us * self.waves(width)


def fit_wave_model(staircase: Staircase, *, overhead: bool = False) -> WaveModel:
    """The best model of a staircase; of equally good ones the one with the widest wave.

    Args:
        overhead: whether a constant is added that the paper does not have.
    """
    widths, latencies = staircase.widths, staircase.latencies_us
    wave_widths = _wave_widths(widths)
    waves = _waves(widths, wave_widths)
    cycles, overheads = _solve(waves, latencies, overhead=overhead)
    errors = np.abs((overheads[:, None] + cycles[:, None] * waves) / latencies - 1)
    # Sums of squares that differ by rounding only are equal: the first is then the widest wave.
    best = int(np.argmin(np.round(np.square(errors).mean(axis=1), 12)))
    return WaveModel(
        cycle_us=float(cycles[best]),
        wave_width=float(wave_widths[best]),
        overhead_us=float(overheads[best]),
        residual_pct=100 * float(errors[best].mean()),
        worst_pct=100 * float(errors[best].max()),
    )


def _wave_widths(widths: Floats) -> Floats:
    """The widths per wave that tell the points apart, the widest first: where a point begins to need one wave less."""
    every = (widths[:, None] / np.arange(1, MOST_WAVES + 1)).ravel()
    spacing = np.diff(widths).min(initial=widths[-1])
    fits = every[(every >= min(spacing, widths[0])) & (widths[-1] / every <= MOST_WAVES)]
    return np.unique(fits)[::-1]


def _waves(widths: Floats, wave_widths: Floats) -> Floats:
    """Waves of each width (columns) at each width per wave (rows). A full wave must not become two by rounding."""
    return np.asarray(np.ceil(widths / wave_widths[:, None] - 1e-9))


def _solve(waves: Floats, latencies: Floats, *, overhead: bool) -> tuple[Floats, Floats]:
    """Cycle and overhead, neither negative, of least squared relative error for each row of ``waves``."""
    a, b = waves / latencies, 1 / latencies
    aa, a1 = (a * a).sum(axis=1), a.sum(axis=1)
    plain, none = a1 / aa, np.zeros(len(waves))
    if not overhead:
        return plain, none
    ab, bb, b1 = (a * b).sum(axis=1), (b * b).sum(), b.sum()
    determinant = aa * bb - ab * ab
    with np.errstate(divide="ignore", invalid="ignore"):
        cycles, overheads = (a1 * bb - b1 * ab) / determinant, (b1 * aa - a1 * ab) / determinant
    usable = (determinant > 1e-12 * aa * bb) & (cycles >= 0) & (overheads >= 0)
    return np.where(usable, cycles, plain), np.where(usable, overheads, none)
