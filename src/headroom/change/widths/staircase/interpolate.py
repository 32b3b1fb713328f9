"""A whole staircase from a few measured points: between them the prediction's shape, scaled to meet them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from headroom.change.widths.staircase.curve import Floats, Point, Staircase
from headroom.predict.prediction import Source


def interpolated(predicted: Staircase, measured: Mapping[int, Point]) -> Staircase:
    """Every width of ``predicted``: measured where it is, else interpolated.

    The ratio of measured to predicted time goes in a straight line (of its logarithm) from each measured width to the
    next and stays as it is beyond the outermost. Between two measured points a curve stays between them, but for what
    the prediction says of dips and bumps: else a step that the prediction sees elsewhere would count twice.

    Args:
        measured: points by width; each width is one of ``predicted``.
    """
    places = [index for index, point in enumerate(predicted.points) if point.width in measured]
    if not places:
        return predicted
    theory = np.log(predicted.latencies_us)
    levels = np.array([math.log(measured[predicted.points[index].width].latency_us) for index in places])
    ratios = np.interp(predicted.widths, predicted.widths[places], levels - theory[places])
    latencies = np.exp(np.clip(theory + ratios, *_bounds(theory, places, levels)))
    errors = [measured[predicted.points[index].width].error_pct for index in places]
    points = tuple(
        measured.get(point.width)
        or replace(
            point,
            latency_us=float(latencies[index]),
            source=Source.INTERPOLATED,
            # What the theory errs between two layers that it errs alike on is not known: its whole error bar stands.
            error_pct=max(point.error_pct, *errors),
            implementation="",
        )
        for index, point in enumerate(predicted.points)
    )
    return replace(predicted, points=points)


def _bounds(theory: Floats, places: list[int], levels: Floats) -> tuple[Floats, Floats]:
    """Least and largest logarithm of each latency."""
    low, high = np.full(len(theory), -math.inf), np.full(len(theory), math.inf)
    for (left, right), (first, last) in zip(pairwise(places), pairwise(levels), strict=True):
        shape = theory[left : right + 1]
        dip = min(0.0, float(shape.min() - min(shape[0], shape[-1])))
        bump = max(0.0, float(shape.max() - max(shape[0], shape[-1])))
        low[left + 1 : right], high[left + 1 : right] = min(first, last) + dip, max(first, last) + bump
    return low, high
