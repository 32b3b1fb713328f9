"""What layers take at pairs of widths: measured where a database knows the pair, else predicted, scaled to meet it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from headroom.advise.measurements import Measurements
from headroom.change.widths.staircase.curve import Point
from headroom.change.widths.staircase.points import measured_points, predicted_points
from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source

Pair = tuple[int, int]

#: Distance between widths is counted in doublings; nearer than this counts as this near.
_NEAREST = 1e-3


@dataclass(frozen=True)
class Clock:
    """Where times come from: a GPU's theory, and what was measured on one system of it.

    ``measured_only`` leaves out what was not measured.
    """

    gpu: GpuSpec
    dtype: DataType
    l2: str = "warm"
    measurements: Measurements | None = None
    measured_only: bool = False

    def points(self, layers: Sequence[tuple[Pair, Layer]]) -> dict[Pair, Point]:
        """The time of one layer at each (input width, output width), with where it comes from.

        A pair that was not measured is predicted, and scaled by what measured pairs of the layer take over their own
        prediction: by all of them, the nearer the more. Measured times alone would make a search prefer whatever the
        theory is too hopeful about.
        """
        theory = predicted_points([(pair[1], layer) for pair, layer in layers], self.gpu, self.dtype, self.l2)
        predicted = {pair: point for (pair, _), point in zip(layers, theory, strict=True) if _is_time(point)}
        if self.measurements is None:
            return predicted
        numbered = [(number, layer) for number, (_, layer) in enumerate(layers)]
        found = measured_points(numbered, self.measurements, self.gpu, self.dtype, self.l2)
        measured = {layers[number][0]: replace(point, width=layers[number][0][1]) for number, point in found.items()}
        return measured if self.measured_only else _scaled(predicted, measured)


def has_times(points: Mapping[Pair, Point], pair: Pair, name: str) -> None:
    """Say that a layer has no time at its own widths, if so.

    Raises:
        UsageError: it has none.
    """
    if pair not in points:
        raise UsageError(
            f"{name} has no time at its {pair[0]} inputs and {pair[1]} outputs: measure the model first, or take "
            "--source auto or predicted"
        )


def _is_time(point: Point) -> bool:
    return 0 < point.latency_us < math.inf


def _scaled(predicted: Mapping[Pair, Point], measured: Mapping[Pair, Point]) -> dict[Pair, Point]:
    known = [pair for pair in measured if pair in predicted]
    if not known:
        return {**predicted, **measured}
    places = np.log2(np.array(known, dtype=np.float64))
    ratios = np.log([measured[pair].latency_us / predicted[pair].latency_us for pair in known])
    found: dict[Pair, Point] = {}
    for pair, point in predicted.items():
        away = np.square(places - np.log2(np.array(pair, dtype=np.float64))).sum(axis=1)
        near = 1 / np.maximum(away, _NEAREST**2)
        scale = math.exp(float((near * ratios).sum() / near.sum()))
        found[pair] = replace(point, latency_us=point.latency_us * scale, source=Source.INTERPOLATED, implementation="")
    return {**found, **measured}
