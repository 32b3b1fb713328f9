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
from gradient_bars import unseen_bars
from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration
from headroom.predict.constants import GemmConstants, family_of
from headroom.predict.gemm_problems import Tiles
from headroom.predict.kernel_sorts import STRIDED_GRADIENT
from headroom.predict.tiles import GATHERING_TILES, STRIDED_GRADIENT_TILES, undivided
from statistics_of import scale_and_constant
from tables import Cases, benanza_convolutions, deepbench_convolutions, neusight_convolutions

#: A kernel waits about as long for memory on every GPU: one DRAM latency per round of CTAs, at their start.
ROUND_LATENCIES, L2_SHARE = 1.0, 0.8

#: Where the fits start.
START = {"step_cycles": 1400.0, "edge_cost": 7.0, "dram_share": 0.75, "torn_writes": 0.5}
START_OUTPUT_CYCLES, START_EFFICIENCY = 0.2, 0.9

#: Of special kernels, the share of the usual rate, step and output cycles: where fits start (the best end counts), and
#: the least and the most of each.
START_SPECIAL = ((0.7, 1000.0, 1.0), (0.7, 1300.0, 6.0))
SPECIAL = ((0.2, 500.0, 0.1), (0.9, 3000.0, 20.0))

#: The name of the older kernels' sets in the calibration file, and the first capability that runs the newer ones.
OLDER, FIRST_OF_NEWER = "pascal plain", 7.0

#: Points along a source's run between which its drift is a straight line, in units of :data:`DRIFT_US`.
KNOTS, DRIFT_US = np.linspace(0.0, 1.0, 7), 100.0

#: Log errors up to about this count squared.
SOFT = 0.05


def is_older(gpu: GpuSpec) -> bool:
    return float(gpu.compute_capability) < FIRST_OF_NEWER


def with_convolutions(calibration: Calibration) -> Calibration:
    """``calibration`` with the constants of convolutions on plain units, fitted on half of the shapes."""
    older, newer = fit_usual(halves(neusight_convolutions()), halves(timed_alike()))
    gathering = fit_gathering((older, newer))
    sets = {f"{OLDER} convolution": older, f"{OLDER} gathering": gathering[0], "plain gathering": gathering[1]}
    for sort, special in (("wgrad", fit_gradient(older, "wgrad")), (STRIDED_GRADIENT, fit_gradient(older, "dgrad"))):
        # Only the older kernels' gradients were timed: the newer ones' are taken to be as much slower than usual.
        sets |= {f"{OLDER} {sort}": special.of(older), f"plain {sort}": special.of(newer)}
    return replace(calibration, plain=newer, own_gemm={**calibration.own_gemm, **sets})


def convolution_bars(calibration: Calibration, without: int | None = None) -> list[dict[str, object]]:
    """Their error bars."""
    gradients = [case for direction in ("dgrad", "wgrad") for case in deepbench_convolutions(direction=direction)]
    cases = [*neusight_convolutions(), *deepbench_convolutions(), *_precomputed(), *gradients]
    return [*bars(cases, lambda case: answered(case, calibration), without), *unseen_bars(calibration)]


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
        # Storing is slower than DRAM on the older kernels: no table of theirs shows torn bursts.
        return replace(both, output_cycles=older, torn_writes=0.0), replace(both, output_cycles=newer)

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


@dataclass(frozen=True)
class Special:
    """Kernels beside the usual ones: the share of their rate, their own step and their own cost of storing."""

    share: float
    step_cycles: float
    output_cycles: float

    def of(self, usual: GemmConstants) -> GemmConstants:
        efficiency = {name: self.share * value for name, value in usual.efficiency.items()}
        own = {"step_cycles": self.step_cycles, "output_cycles": self.output_cycles, "wide_handicap": 1.0}
        return replace(usual, efficiency=efficiency, **own)


def fit_gathering(usual: tuple[GemmConstants, GemmConstants]) -> tuple[GemmConstants, GemmConstants]:
    """Constants of kernels that work out addresses as they go, of both generations, on GPUs of :func:`timed_alike`."""
    found: dict[bool, GemmConstants] = {}
    gathered = {case.gpu.id: case for case in benanza_convolutions("IMPLICIT_GEMM")}
    for case in timed_alike():
        if case.gpu.id in gathered and case.source.startswith("Benanza"):
            constants = usual[0] if is_older(case.gpu) else usual[1]
            runs = [(halves([gathered[case.gpu.id]])[0], _scale(constants, case))]
            found[is_older(case.gpu)] = fit_special(constants, runs, undivided(GATHERING_TILES)).of(constants)
    return found[True], found[False]


def fit_gradient(usual: GemmConstants, direction: str) -> Special:
    """Kernels of weight gradients, or of input gradients of convolutions with longer steps, on the older GPUs."""
    scales = {case.gpu.id: _scale(usual, case) for case in deepbench_convolutions()}
    cases = halves(deepbench_convolutions(direction=direction))
    if direction == "dgrad":
        cases = [case.where(case.conv["stride"] > 1) for case in cases]
    among = undivided(STRIDED_GRADIENT_TILES) if direction == "dgrad" else None
    return fit_special(usual, [(case, scales[case.gpu.id]) for case in cases], among)


def _scale(usual: GemmConstants, case: Cases) -> float:
    """The source's own clock, told by its usual kernels."""
    half = case.where(~case.held_out)
    return scale_and_constant(chosen(half, usual)[0].time_us, half.measured_us).scale


def fit_special(usual: GemmConstants, runs: Sequence[tuple[Cases, float]], among: Tiles | None) -> Special:
    """On rows with the scale of their source; each source has a constant besides."""

    def residuals(x: np.ndarray) -> np.ndarray:
        constants = Special(*np.exp(x[:3]).tolist()).of(usual)
        parts = []
        for (case, scale), constant in zip(runs, x[3:], strict=True):
            parts.append(_log_off(scale * chosen(case, constants, among=among)[0].time_us + 10.0 * constant, case))
        return np.concatenate(parts)

    least, most = SPECIAL
    low, high = [*np.log(least), *[0.0] * len(runs)], [*np.log(most), *[10.0] * len(runs)]
    # Steps of a thousandth: the chosen tile changes with the constants, and with it the derivatives jump. These
    # kernels differ more among themselves than the usual ones do, so larger errors count in full.
    fits = [
        least_squares(
            residuals, [*np.log(start), *[1.0] * len(runs)], bounds=(low, high), loss="soft_l1",
            f_scale=2.0 * SOFT, diff_step=1e-3,
        )
        for start in START_SPECIAL
    ]  # fmt: skip
    return Special(*np.exp(min(fits, key=lambda fit: fit.cost).x[:3]).tolist())


def _log_off(time_us: np.ndarray, case: Cases) -> np.ndarray:
    return np.log(np.maximum(time_us, 1.0) / case.measured_us)
