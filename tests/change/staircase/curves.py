"""Staircases for tests: made up, predicted, and one that was recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.points import predicted_points
from headroom.change.widths.staircase.spec import parse_conv
from headroom.change.widths.staircase.table import width_table
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source

#: Fastest of about 70 cuDNN plans, H200, bf16, NHWC, in us: 3x3 convolution of 512 channels on 64x64, batch 1, by its
#: number of filters. Recorded once, before the stopwatch was there.
RECORDED_US: Mapping[int, float] = {
    96: 15.7, 128: 15.6, 160: 21.6, 192: 21.5, 224: 21.0, 256: 17.6, 288: 27.6, 320: 27.5, 352: 27.8, 384: 27.7,
    416: 34.4, 448: 28.4, 480: 28.6, 512: 28.9,
}  # fmt: skip

FLOPS_PER_FILTER = 2 * 512 * 9 * 64 * 64


def staircase(
    latencies_us: Mapping[int, float], *, noise_pct: float = 0.0, source: Source = Source.MEASURED
) -> Staircase:
    return Staircase(
        "layer",
        "out",
        512,
        tuple(
            Point(width, latency_us, width * FLOPS_PER_FILTER, source, noise_pct=noise_pct)
            for width, latency_us in sorted(latencies_us.items())
        ),
    )


def stairs(widths: Iterable[int], edges: Mapping[int, float], start_us: float = 20.0) -> dict[int, float]:
    """A curve that is ``start_us`` and is multiplied by a factor behind each edge."""
    return {w: start_us * float(np.prod([factor for edge, factor in edges.items() if w > edge])) for w in widths}


def noisy(latencies_us: Mapping[int, float], sigma_pct: float, seed: int) -> dict[int, float]:
    random = np.random.default_rng(seed)
    return {width: time * float(np.exp(random.normal(0, sigma_pct / 100))) for width, time in latencies_us.items()}


def predicted(conv: str, gpu: str = "h200", dtype: DataType = DataType.BF16) -> Staircase:
    spec = parse_conv(conv)
    return width_table(spec.layer, load_gpu(gpu), dtype, spec.out.widths(8)).staircases[0]


def stopwatch(truth_us: Mapping[int, float], sigma_pct: float, seed: int) -> Callable[[int], Point]:
    """Measures a curve that is known, with noise."""
    random = np.random.default_rng(seed)

    def measure(width: int) -> Point:
        time_us = truth_us[width] * float(np.exp(random.normal(0, sigma_pct / 100)))
        return Point(width, time_us, width * FLOPS_PER_FILTER, Source.MEASURED, 3.0, sigma_pct)

    return measure


__all__ = ["RECORDED_US", "noisy", "predicted", "predicted_points", "staircase", "stairs", "stopwatch"]
