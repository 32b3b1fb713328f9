"""Points of a staircase: what the theory says of a layer at a width, and what was measured of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headroom.advise.measurements import SHORT_US, Measurements, error_pct, implementation_text, usable
from headroom.change.widths.staircase.curve import Point
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction, Source
from headroom.store.rows import Kernel, Timing

#: Standard deviation of a measured layer between processes, in percent: 19 of 20 repeat within twice of this
#: (promised), and short ones within twice of that.
REPEATS_PCT = 1.5

#: Interquartile ranges in a standard deviation of a bell curve, and how much wider a median's is than a mean's.
_IQR_PER_SIGMA, _MEDIAN_OVER_MEAN = 1.35, 1.25


def predicted_points(
    layers: Sequence[tuple[int, Layer]], gpu: GpuSpec, dtype: DataType, l2: str = "warm"
) -> tuple[Point, ...]:
    """What the theory says of each (width, layer at that width), in their order."""
    predictions = predict_layers([layer for _, layer in layers], gpu, dtype, l2_state=l2)
    return tuple(_predicted(*pair, each, gpu) for pair, each in zip(layers, predictions, strict=True))


def measured_points(
    layers: Sequence[tuple[int, Layer]], measurements: Measurements, gpu: GpuSpec, dtype: DataType, l2: str = "warm"
) -> dict[int, Point]:
    """The fastest measured implementation of each (width, layer at that width) that has one that counts, by width."""
    chains = {width: Chain.of([layer]) for width, layer in layers}
    best = measurements.best(chains.values(), dtype, l2)
    rows = {width: best[chain.digest] for width, chain in chains.items() if chain.digest in best}
    return {width: measured_point(width, layer, rows[width], gpu) for width, layer in layers if _counts(rows, width)}


def measured_point(width: int, layer: Layer, timing: Timing, gpu: GpuSpec) -> Point:
    """The point of a row that holds a time."""
    median_us = timing.median_us or math.nan
    ctas = _ctas(layer, timing.kernels)
    waves = None if ctas is None else math.ceil(ctas / gpu.sms)
    return Point(
        width=width,
        latency_us=median_us,
        flops=layer.flops,
        source=Source.MEASURED,
        error_pct=error_pct(median_us, timing.iqr_us),
        noise_pct=_noise_pct(timing),
        utilisation=None if ctas is None or waves is None else ctas / (waves * gpu.sms),
        ctas=ctas,
        waves=waves,
        implementation=implementation_text(timing.implementation),
    )


def _predicted(width: int, layer: Layer, prediction: Prediction, gpu: GpuSpec) -> Point:
    ctas = prediction.ctas
    return Point(
        width=width,
        latency_us=prediction.time_us or math.nan,
        flops=layer.flops,
        source=prediction.source,
        error_pct=prediction.error_pct or 0.0,
        utilisation=prediction.tail_utilization,
        ctas=ctas,
        waves=None if ctas is None else math.ceil(ctas / gpu.sms),
        implementation=prediction.algorithm,
    )


def _counts(rows: dict[int, Timing], width: int) -> bool:
    return width in rows and usable(rows[width])


def _noise_pct(timing: Timing) -> float:
    """Standard deviation of the median, found again by another process."""
    repeats = REPEATS_PCT if (timing.median_us or 0.0) >= SHORT_US else 2 * REPEATS_PCT
    if timing.noise is None or timing.samples < 1:
        return repeats
    return max(repeats, 100 * _MEDIAN_OVER_MEAN * timing.noise / (_IQR_PER_SIGMA * math.sqrt(timing.samples)))


def _ctas(layer: Layer, kernels: Sequence[Kernel]) -> int | None:
    """Tiles of the largest kernel, ``None`` where none is known.

    By its tile where its name tells it: a grid of as many CTAs as there are SMs is a persistent kernel's, whose CTAs
    take several tiles each. Otherwise by its grid. Tiles along K (split products) are not told by any of them.
    """
    if not kernels:
        return None
    largest = max(kernels, key=lambda kernel: math.prod(kernel.grid) * math.prod(kernel.block))
    gemm = layer.gemm
    if largest.tile is None or gemm is None:
        return math.prod(largest.grid)
    return math.ceil(gemm.m / largest.tile[0]) * math.ceil(gemm.n / largest.tile[1]) * gemm.batch
