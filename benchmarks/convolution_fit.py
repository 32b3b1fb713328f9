"""The plain units' constants for im2col convolutions.

Two generations of kernels: those made for Maxwell, which Pascal runs too, and those made for Volta and after. Both
wait, round and share bandwidth alike; storing a result costs each of them its own. NeuSight's rows are fitted with
the kernels' own tiles, the others with the tile that the model chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from error_bars import bars
from estimates import answered, chosen, given, typical
from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, family_of
from statistics_of import scale_and_constant
from tables import Cases, benanza_convolutions, deepbench_convolutions, neusight_convolutions

#: A kernel waits about as long for memory on every GPU: one DRAM latency per round of CTAs, at their start.
ROUND_LATENCIES, L2_SHARE = 1.0, 0.8

#: Where the fits start.
START = {"step_cycles": 1400.0, "edge_cost": 7.0, "dram_share": 0.75, "torn_writes": 0.5}
START_OUTPUT_CYCLES, START_EFFICIENCY = 0.2, 0.9

#: Of gathering kernels: the share of the usual rate, step and output cycles.
START_GATHERING = (0.7, 1000.0, 0.7)

#: The name of the older kernels' sets in the calibration file, and the first capability that runs the newer ones.
OLDER, FIRST_OF_NEWER = "pascal plain", 7.0

#: Points along a source's run between which its drift is a straight line, in units of :data:`DRIFT_US`.
KNOTS, DRIFT_US = np.linspace(0.0, 1.0, 7), 100.0

#: Log errors up to about this count squared.
SOFT = 0.05


def is_older(gpu: GpuSpec) -> bool:
    return float(gpu.compute_capability) < FIRST_OF_NEWER


def with_convolutions(calibration: Calibration) -> Calibration:
    """``calibration`` with ``plain``, ``plain_gathering`` and the older kernels' sets fitted on half of the shapes."""
    usual = fit_usual(halves(neusight_convolutions()), halves(timed_alike()))
    return with_sets(calibration, usual, fit_gathering(usual))


def with_sets(
    calibration: Calibration, usual: tuple[GemmConstants, GemmConstants], gathering: tuple[GemmConstants, GemmConstants]
) -> Calibration:
    """``calibration`` with the older and the newer generation's sets."""
    own = {f"{OLDER} convolution": usual[0], f"{OLDER} gathering": gathering[0]}
    return replace(calibration, plain=usual[1], plain_gathering=gathering[1], own_gemm={**calibration.own_gemm, **own})


def convolution_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Their error bars."""

    def predict(case: Cases) -> tuple[np.ndarray, np.ndarray]:
        best = answered(case, calibration)[0]
        return best.time_us, best.is_short

    return bars([*neusight_convolutions(), *deepbench_convolutions(), *_precomputed()], predict)


def halves(cases: Sequence[Cases]) -> list[Cases]:
    return [case.where(~case.held_out) for case in cases]


def timed_alike() -> list[Cases]:
    """Tables beside NeuSight's that constants are fitted on. Benanza's T4 ran at half the rate of NeuSight's: out."""
    return [*deepbench_convolutions(), *(case for case in _precomputed() if family_of(case.gpu) != "turing")]


def _precomputed() -> list[Cases]:
    return benanza_convolutions("IMPLICIT_PRECOMP_GEMM")


@dataclass(frozen=True)
class Unknowns:
    """What :func:`fit_usual` looks for, in one vector: the logarithms of shared constants, of both generations'
    output cycles, and of one efficiency per family; then per source what is its own.
    """

    families: tuple[str, ...]

    @property
    def shared(self) -> int:
        return len(START) + 2 + len(self.families)

    def constants(self, x: np.ndarray) -> tuple[GemmConstants, GemmConstants]:
        values = np.exp(x[: self.shared]).tolist()
        named = dict(zip(START, values, strict=False))
        older, newer = values[len(START) : len(START) + 2]
        efficiency = dict(zip(self.families, values[len(START) + 2 :], strict=True))
        both = typical(
            GemmConstants(efficiency, 1.0, 0.0, round_latencies=ROUND_LATENCIES, slice_ns=0.0, l2_share=L2_SHARE,
                          cache_share=1.0, wide_handicap=1.0, **named)
        )  # fmt: skip
        return replace(both, output_cycles=older), replace(both, output_cycles=newer)

    def start(self) -> np.ndarray:
        outputs, efficiencies = [START_OUTPUT_CYCLES] * 2, [START_EFFICIENCY] * len(self.families)
        return np.log([*START.values(), *outputs, *efficiencies])


def fit_usual(drifting: Sequence[Cases], others: Sequence[Cases]) -> tuple[GemmConstants, GemmConstants]:
    """Constants of the older and the newer kernels. ``drifting`` tables (NeuSight's) tell the kernels' tiles.

    Their drift is real: in this table the same small kernels take longer at the end of a GPU's run than at its
    start, on every GPU (``docs/accuracy.md`` says how much). Fitted without it, the constants would explain the
    drift. Each of the ``others`` has one scale and one constant.
    """
    unknowns = Unknowns(tuple(sorted({family_of(case.gpu) for case in drifting})))

    def residuals(x: np.ndarray) -> np.ndarray:
        older, newer = unknowns.constants(x)
        end = unknowns.shared + len(drifting) * len(KNOTS)
        drifts = DRIFT_US * x[unknowns.shared : end].reshape(-1, len(KNOTS))
        parts = []
        for case, drift in zip(drifting, drifts, strict=True):
            time_us = given(case, older if is_older(case.gpu) else newer).time_us + np.interp(case.order, KNOTS, drift)
            parts.append(_log_off(time_us, case))
        for case, (scale, constant) in zip(others, x[end:].reshape(-1, 2), strict=True):
            time_us = chosen(case, older if is_older(case.gpu) else newer)[0].time_us
            parts.append(_log_off(np.exp(scale) * time_us + 10.0 * constant, case))
        return np.concatenate(parts)

    drift = np.tile(np.linspace(0.5, 4.0, len(KNOTS)), len(drifting))
    first = np.concatenate([unknowns.start(), drift, np.tile([0.0, 1.0], len(others))])
    older, newer = unknowns.constants(least_squares(residuals, first, loss="soft_l1", f_scale=SOFT).x)
    handicap = fit_handicap(drifting, lambda case: older if is_older(case.gpu) else newer)
    return replace(older, wide_handicap=handicap), replace(newer, wide_handicap=handicap)


def fit_handicap(cases: Sequence[Cases], constants_of: Callable[[Cases], GemmConstants]) -> float:
    """How much faster a 128-wide tile must look: the value that finds the most of the kernels' own tiles."""

    def agreement(value: float) -> float:
        trials = [(case, replace(constants_of(case), wide_handicap=value)) for case in cases if case.tiles]
        return float(np.mean([np.mean(chosen(case, trial)[1].n == case.tiles.n) for case, trial in trials]))

    return max(np.round(np.arange(1.0, 1.2, 0.01), 2).tolist(), key=agreement)


def fit_gathering(usual: tuple[GemmConstants, GemmConstants]) -> tuple[GemmConstants, GemmConstants]:
    """The kernels that work out addresses as they go, on the GPUs of :func:`timed_alike`: what they reach of the usual
    kernels' rate, their own step and their own cost of storing. The source's scale is that of its usual kernels.
    """
    found: dict[bool, GemmConstants] = {}
    gathered = {case.gpu.id: case for case in benanza_convolutions("IMPLICIT_GEMM")}
    for case in timed_alike():
        if case.gpu.id not in gathered or not case.source.startswith("Benanza"):
            continue
        age = 0 if is_older(case.gpu) else 1
        half = case.where(~case.held_out)
        scale = scale_and_constant(chosen(half, usual[age])[0].time_us, half.measured_us).scale
        other = gathered[case.gpu.id]
        found[age] = _fit_gathering(usual[age], scale, other.where(~other.held_out))
    return found[0], found[1]


def _fit_gathering(usual: GemmConstants, scale: float, case: Cases) -> GemmConstants:
    def trial(x: np.ndarray) -> GemmConstants:
        share, step, output = np.exp(x[:3]).tolist()
        efficiency = {name: share * value for name, value in usual.efficiency.items()}
        return replace(usual, efficiency=efficiency, step_cycles=step, output_cycles=output, wide_handicap=1.0)

    def residuals(x: np.ndarray) -> np.ndarray:
        return _log_off(scale * chosen(case, trial(x), gathering=True)[0].time_us + 10.0 * x[3], case)

    first = np.array([*np.log(START_GATHERING), 1.0])
    # Steps of a thousandth: the chosen tile changes with the constants, and with it the derivatives jump.
    return trial(least_squares(residuals, first, loss="soft_l1", f_scale=SOFT, diff_step=1e-3).x)


def _log_off(time_us: np.ndarray, case: Cases) -> np.ndarray:
    return np.log(np.maximum(time_us, 1.0) / case.measured_us)
