"""How far predictions are off a table whose source adds a constant to each row and scales them all."""

from __future__ import annotations

import numpy as np


def scaled_error(predicted: np.ndarray, measured: np.ndarray, constants_us: np.ndarray) -> float:
    """Least mean absolute relative error with one scale and one of the constants."""

    def with_constant(constant: float) -> float:
        ratio, weight = (measured - constant) / predicted, predicted / measured
        order = np.argsort(ratio)
        cumulative = np.cumsum(weight[order])
        scale = ratio[order][np.searchsorted(cumulative, cumulative[-1] / 2)]
        return float(np.mean(np.abs(scale * predicted + constant - measured) / measured))

    return min(with_constant(constant) for constant in constants_us)
