"""What every predictor concludes from the terms of its time: the longest one, and whether it is mostly overhead."""

from __future__ import annotations

from collections.abc import Mapping

from headroom.predict.prediction import Bottleneck


def longest(terms_us: Mapping[Bottleneck, float]) -> Bottleneck:
    """The term that limits; of equal ones the first."""
    return max(terms_us, key=lambda name: float(terms_us[name]))


def regime(short: bool) -> str:
    """How the calibration calls rows that are mostly overhead, and the others."""
    return "short" if short else "long"
