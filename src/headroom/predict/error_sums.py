"""The error bar of a sum of predicted layers: their errors are alike in part, and cancel in part.

Of the variance of a layer's error a share is common to all layers of a model on one GPU (the sheet's figures, the
clock, the state of the cache) and the rest is the layer's own. Equal layers err equally: a layer that occurs ten times
is one error, ten times as large. Both limits are right: one layer keeps its bar, and a sum of many keeps the root of
the common share of their mean bar, however many they are.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

#: The share in common, with which nine of ten sums over networks hold whose family no constant had seen
#: (``benchmarks/lbl_networks.py``; ``docs/accuracy.md`` has the shares of families left out of it).
COMMON_SHARE = 0.15

_Number = TypeVar("_Number", float, NDArray[np.float64])


def of_sum(bars: _Number, squares: _Number, common_share: float = COMMON_SHARE) -> _Number:
    """The bar of a sum from the sum of its different layers' bars and the sum of the bars' squares."""
    total: _Number = (common_share * bars * bars + (1.0 - common_share) * squares) ** 0.5
    return total
