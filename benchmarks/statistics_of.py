"""How far predictions are off, and the one scale and one constant that a source may be given."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import spearmanr

_GOLDEN_STEPS = 80


@dataclass(frozen=True)
class Fit:
    """``measured = scale * predicted + constant_us``."""

    scale: float
    constant_us: float

    def apply(self, predicted_us: np.ndarray) -> np.ndarray:
        return self.scale * predicted_us + self.constant_us


def scale_and_constant(predicted_us: np.ndarray, measured_us: np.ndarray) -> Fit:
    """The scale and constant with the least mean absolute relative error.

    For a constant the best scale is a weighted median; the error is convex in the constant, so a golden
    section finds it. No randomness: the same rows give the same fit.
    """

    def best(constant: float) -> tuple[float, float]:
        ratio, weight = (measured_us - constant) / predicted_us, predicted_us / measured_us
        order = np.argsort(ratio, kind="stable")
        cumulative = np.cumsum(weight[order])
        scale = ratio[order][np.searchsorted(cumulative, cumulative[-1] / 2)]
        return scale, float(np.mean(np.abs(scale * predicted_us + constant - measured_us) / measured_us))

    low, high = -float(np.median(measured_us)), float(np.median(measured_us))
    for _ in range(_GOLDEN_STEPS):
        left, right = low + 0.381966 * (high - low), low + 0.618034 * (high - low)
        low, high = (low, right) if best(left)[1] < best(right)[1] else (left, high)
    constant = (low + high) / 2
    return Fit(float(best(constant)[0]), float(constant))


@dataclass(frozen=True)
class Errors:
    """Statistics of one model on one set of rows; percentages."""

    rows: int
    mean_pct: float
    median_pct: float
    geometric_pct: float
    spearman: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def errors(predicted_us: np.ndarray, measured_us: np.ndarray) -> Errors:
    """``geometric_pct`` is the geometric mean of max(p/m, m/p), less one."""
    off = np.abs(predicted_us / measured_us - 1)
    fold = np.abs(np.log(np.maximum(predicted_us, 1e-3) / measured_us))
    return Errors(
        len(measured_us),
        100 * float(off.mean()),
        100 * float(np.median(off)),
        100 * float(np.exp(fold.mean()) - 1),
        float(spearmanr(predicted_us, measured_us).statistic),
    )
