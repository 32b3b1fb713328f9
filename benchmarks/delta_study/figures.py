"""The paper's figures as numbers: per layer of the four networks, against prior models, scaled, and swept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from delta_study.networks import NETWORKS, NamedConvolution, convolution, resnet152, unique
from headroom.graph.work import Convolution
from headroom.predict.delta import PAPER, ConvBatch, Estimate, Reading, estimate
from headroom.predict.delta.prior import MISS_RATES, with_miss_rate
from headroom.predict.delta.published import DESIGN_OPTIONS, TABLE_ONE, scaled_gpu, table_one_gpu


@dataclass(frozen=True, slots=True)
class NetworkFigures:
    """One network on one GPU: its unique layers and their estimate, in the same order."""

    network: str
    gpu: str
    layers: tuple[NamedConvolution, ...]
    answer: Estimate

    @property
    def bottlenecks(self) -> Counter[str]:
        return Counter(self.answer.bottlenecks)


@cache
def network_figures(network: str, gpu: str, reading: Reading = PAPER) -> NetworkFigures:
    """Unique layers of ``network`` at batch 256 on a GPU of Table I (Figs. 11, 13, 14)."""
    layers = unique(NETWORKS[network]())
    convs = ConvBatch.of(layer.conv for layer in layers)
    return NetworkFigures(network, gpu, layers, estimate(convs, table_one_gpu(gpu), reading=reading))


def all_layers(gpu: str, reading: Reading = PAPER) -> tuple[NetworkFigures, ...]:
    return tuple(network_figures(network, gpu, reading) for network in NETWORKS)


def compute_bound_share(gpus: Sequence[str] = tuple(TABLE_ONE), reading: Reading = PAPER) -> float:
    """Share of evaluated layers that arithmetic limits (section VII-B)."""
    counts: Counter[str] = Counter()
    for gpu in gpus:
        for figures in all_layers(gpu, reading):
            counts.update(figures.bottlenecks)
    return counts["compute"] / counts.total()


def prior_time_ratios(gpu: str, miss_rate: float, reading: Reading = PAPER) -> np.ndarray:
    """Per unique layer: time with a fixed miss rate over DeLTA's (Fig. 15b, with DeLTA as the yardstick)."""
    ratios = []
    for figures in all_layers(gpu, reading):
        prior = with_miss_rate(figures.answer, miss_rate, reading)
        ratios.append(prior.time_us / figures.answer.time_us)
    return np.concatenate(ratios)


def prior_dram_ratios(gpu: str, *, pointwise: bool, reading: Reading = PAPER) -> np.ndarray:
    """Per unique layer: DRAM traffic with a miss rate of 1.0 over DeLTA's (Fig. 12)."""
    ratios = []
    for figures in all_layers(gpu, reading):
        moved = figures.answer.traffic
        chosen = figures.answer.convs.is_pointwise == pointwise
        ratios.append((moved.l1_bytes / moved.dram_bytes)[chosen])
    return np.concatenate(ratios)


@dataclass(frozen=True, slots=True)
class OptionFigures:
    """One design option on all 152 convolutions: speed-up over the TITAN Xp, share of time per bottleneck."""

    name: str
    speedup: float
    time_share: dict[str, float]


@cache
def scaling_study(reading: Reading = PAPER) -> tuple[OptionFigures, ...]:
    """Fig. 16: ResNet-152 on the TITAN Xp and the nine options."""
    layers = unique(resnet152())
    convs = ConvBatch.of(layer.conv for layer in layers)
    counts = np.array([layer.count for layer in layers], dtype=np.float64)
    gpu, rows, base = table_one_gpu("TITAN Xp"), [], 0.0
    for option in DESIGN_OPTIONS:
        answer = estimate(convs, scaled_gpu(gpu, option), tiles=option.tiles, reading=reading)
        took = answer.time_us * counts
        total = float(took.sum())
        base = base or total
        shares: dict[str, float] = {}
        for limit, part in zip(answer.bottlenecks, took, strict=True):
            shares[str(limit)] = shares.get(str(limit), 0.0) + float(part) / total
        rows.append(OptionFigures(option.name, base / total, shares))
    return tuple(rows)


#: What the appendix sweeps around 256 channels, 13x13, 128 filters of 3x3, stride 1 (Fig. 17).
SWEEPS: dict[str, tuple[int, ...]] = {
    "output channels": tuple(range(16, 513, 16)),
    "input channels": tuple(range(16, 513, 16)),
    "feature size": tuple(range(7, 113, 5)),
    "mini-batch": tuple(range(16, 513, 16)),
}


def swept_convolution(axis: str, value: int) -> Convolution:
    """The appendix's artificial layer with one dimension replaced."""
    return convolution(
        value if axis == "input channels" else 256,
        value if axis == "feature size" else 13,
        value if axis == "output channels" else 128,
        3,
        batch=value if axis == "mini-batch" else 256,
    )


@cache
def sweep(axis: str, reading: Reading = PAPER) -> Estimate:
    """The artificial layers along one axis on the TITAN Xp, in the order of ``SWEEPS``."""
    convs = ConvBatch.of(swept_convolution(axis, value) for value in SWEEPS[axis])
    return estimate(convs, table_one_gpu("TITAN Xp"), reading=reading)


def miss_rate_table(gpu: str) -> list[tuple[float, float, float, float]]:
    """Per fixed miss rate: mean, geometric mean and largest time ratio to DeLTA."""
    rows = []
    for rate in MISS_RATES:
        ratios = prior_time_ratios(gpu, rate)
        rows.append((rate, float(ratios.mean()), float(np.exp(np.log(ratios).mean())), float(ratios.max())))
    return rows
