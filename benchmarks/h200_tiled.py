"""The tile model's constants for Hopper, one set per sort of kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize

from h200_rows import Timed
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.predict.constants import GemmConstants
from headroom.predict.kinds.layer_products import forward_sorts, tiled_of
from headroom.predict.library import Tiled, with_whole_channels
from headroom.predict.tiles import choose, divides_depth

FAMILY = "hopper"

#: Streaming multiprocessor pairs share loads: cuBLAS and cuDNN launch Hopper's large tiles in clusters of two.
CLUSTER = 2.0

#: Residuals beyond this factor (in log) count as this much: rows that ran another kind of kernel.
CAP = 1.0

Limits = Mapping[str, tuple[float, float]]

#: Least and most of what is physically possible, in the order of the fit. Large products draw the board's power limit
#: at 70 to 83 % of the datasheet's rate; no kernel starts sooner than an empty one of a CUDA graph (0.21 of
#: the sheet's launch), and no bandwidth exceeds what the probe measures (docs/probe-figures.md).
LIMITS: Limits = {
    "efficiency": (0.3, 0.8), "launch_factor": (0.21, 3.0), "half_warps": (0.0, 10.0), "edge_cost": (1.0, 150.0),
    "round_latencies": (0.0, 10.0), "slice_ns": (0.0, 500.0), "dram_share": (0.9, 1.18), "l2_share": (0.4, 0.9),
    "cache_share": (0.2, 0.8), "gather_wait": (0.0, 4.0), "split_launches": (0.0, 5.0),
}  # fmt: skip

#: Products of little depth wait for their results to be stored: nothing is left to load meanwhile.
STORING: Limits = {"output_cycles": (0.0, 1.0)}

#: Kernels made for the GPUs before, with padding around them: they reach a small part of the rate and wait long.
OLD_KERNELS: Limits = {"efficiency": (0.02, 0.8), "slice_ns": (0.0, 1000.0), "gather_wait": (0.0, 10.0)}

#: What Winograd's and the FFT's kernels have of their own: less arithmetic, and several launches.
TRANSFORMED: Limits = {
    "efficiency": (0.6, 2.2), "launch_factor": (1.0, 10.0), "edge_cost": (1.0, 150.0), "half_warps": (0.0, 10.0),
}  # fmt: skip

#: Where the fits start, where they start a second time, on plain units and for transformed kernels if they differ.
START = {
    "efficiency": 0.7, "launch_factor": 0.5, "half_warps": 0.05, "edge_cost": 20.0, "round_latencies": 1.0,
    "slice_ns": 30.0, "dram_share": 1.1, "l2_share": 0.7, "cache_share": 0.45, "gather_wait": 0.1,
    "split_launches": 0.5, "output_cycles": 0.05,
}  # fmt: skip
OTHER_START = {"launch_factor": 1.0, "edge_cost": 5.0, "l2_share": 0.85}
PLAIN_START = {"half_warps": 0.5, "edge_cost": 10.0, "round_latencies": 2.0}
TRANSFORMED_START = {"efficiency": 1.2, "launch_factor": 4.0, "edge_cost": 10.0, "half_warps": 0.5}

#: A set of fewer warm rows than this has only these constants of its own, the others where the fit would start.
FEW_ROWS = 40
ESSENTIAL = (
    "efficiency", "launch_factor", "edge_cost", "round_latencies", "slice_ns", "gather_wait", "split_launches",
    "output_cycles",
)  # fmt: skip

#: What a cold cache adds: least, most and start.
COLD = {"cold_us": (0.0, 5.0, 0.9), "cold_slice_ns": (0.0, 400.0, 10.0), "written_back": (0.0, 1.0, 0.3)}

#: Simplex sizes of the restarts, and evaluations of each.
ROUNDS, EVALUATIONS = (0.6, 0.4, 0.3, 0.2, 0.1), 400


@dataclass(frozen=True)
class Wanted:
    """One set: its name in the calibration file without the family, and whose rows it is fitted on."""

    kernels: str
    sort: str
    dtype: DataType
    channel_bytes: float = 0.0
    own_limits: Limits = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return "plain" if self.kernels == "plain" else "tensor"

    @property
    def name(self) -> str:
        return f"{self.kernels} {'convolution' if self.sort == 'forward' else self.sort}"


def wanted() -> list[Wanted]:
    """Every set. TF32 products run other kernels than 16-bit ones (their operands leave room for half the tile)."""
    sets = []
    for kernels, dtype, channels in (("tensor", DataType.BF16, 64.0), ("tf32", DataType.TF32, 128.0)):
        sets += [
            Wanted(kernels, "matmul", dtype, own_limits=STORING),
            Wanted(kernels, "pointwise", dtype),
            Wanted(kernels, "vector", dtype),
            Wanted(kernels, "grouped", dtype),
            Wanted(kernels, "forward", dtype, channels),
            Wanted(kernels, "unaligned", dtype, 64.0, OLD_KERNELS),
            Wanted(kernels, "stem", dtype, 32.0, OLD_KERNELS),
        ]
    plain = [Wanted("plain", sort, DataType.FP32) for sort in ("pointwise", "vector", "grouped", "forward")]
    plain.append(Wanted("plain", "matmul", DataType.FP32, own_limits=STORING))
    stem = Wanted("plain", "stem", DataType.FP32, own_limits=OLD_KERNELS)
    return [*sets, Wanted("tensor", "biased", DataType.BF16, 64.0), *plain, stem]


@dataclass(frozen=True)
class Products:
    """Rows of one set in one state of the cache."""

    want: Wanted
    gpu: GpuSpec
    tiled: Tiled
    measured_us: np.ndarray
    l2: str

    @classmethod
    def of(cls, want: Wanted, gpu: GpuSpec, rows: Sequence[Timed], l2: str) -> Products:
        rows = [row for row in rows if row.l2 == l2]
        tiled = tiled_of([row.layer for row in rows], want.dtype, want.sort)
        return cls(want, gpu, tiled, np.array([row.measured_us for row in rows]), l2)

    def error(self, direct: GemmConstants, transformed: GemmConstants | None) -> float:
        """Mean capped log error with the fastest tile."""
        time_us = self._time_us(direct)
        if transformed is not None:
            faster = np.minimum(time_us, self._time_us(transformed))
            time_us = np.where(self.tiled.can_transform, faster, time_us)
        return float(off(time_us, self.measured_us).mean())

    def _time_us(self, constants: GemmConstants) -> np.ndarray:
        want = self.want
        work = with_whole_channels(self.tiled.problems, self.tiled.taps, constants.channel_bytes / want.dtype.bytes)
        may_split = divides_depth(self.gpu, want.unit, want.sort)
        found = choose(work, self.gpu, want.dtype, want.unit, constants, self.l2, may_split=may_split)
        return found[0].time_us


def off(predicted_us: np.ndarray, measured_us: np.ndarray) -> np.ndarray:
    """Capped absolute log error."""
    return np.minimum(np.abs(np.log(predicted_us / measured_us)), CAP)


def settle(
    objective: Callable[[np.ndarray], float], start: np.ndarray, rounds: Sequence[float], evaluations: int = 350
) -> np.ndarray:
    """Nelder-Mead, restarted from its own end with a simplex of each size in turn."""
    x = start
    for size in rounds:
        simplex = np.vstack([x, x + size * np.eye(len(x))])
        x = minimize(objective, x, method="Nelder-Mead", options={"maxfev": evaluations, "initial_simplex": simplex}).x
    return x


def fit_tiled(rows: Sequence[Timed], gpu: GpuSpec) -> dict[str, GemmConstants]:
    """Every set by its name."""
    fitted: dict[str, GemmConstants] = {}
    for want in wanted():
        fitted[want.name], _ = fit_set(want, gpu, [row for row in rows if belongs(row, want)])
    return fitted


def belongs(row: Timed, want: Wanted) -> bool:
    """Whether a row is of the set. Gradients and layers without weights of their own are not fitted on."""
    if row.dtype != want.dtype or row.op not in ("matmul", "conv2d"):
        return False
    work = row.layer.work
    if not isinstance(work, Convolution):
        return want.sort == "matmul"
    if work.direction != "forward" or not row.layer.weights:
        return False
    sort = forward_sorts([row.layer], row.dtype, want.unit)[0]
    known = {other.sort for other in wanted() if other.kernels == want.kernels}
    return want.sort == (sort if sort in known else "forward")


def fit_set(want: Wanted, gpu: GpuSpec, rows: Sequence[Timed]) -> tuple[GemmConstants, GemmConstants | None]:
    """One set on its warm rows, then what a cold cache adds on its cold ones."""
    warm, cold = (Products.of(want, gpu, rows, l2) for l2 in ("warm", "cold"))
    limits = {**LIMITS, **want.own_limits}
    start = {**START, **(PLAIN_START if want.unit == "plain" else {})}
    if len(warm.measured_us) < FEW_ROWS:
        limits |= {name: (value, value) for name, value in start.items() if name not in ESSENTIAL}
    free = {name: limit for name, limit in limits.items() if limit[0] < limit[1]}
    fixed = {name: limit[0] for name, limit in limits.items() if name not in free}
    has_other = want.name == "plain convolution"

    def constants(x: np.ndarray) -> tuple[GemmConstants, GemmConstants | None]:
        values = fixed | within(free, x)
        cluster = CLUSTER if want.unit == "tensor" else 1.0
        direct = GemmConstants(
            {FAMILY: values["efficiency"], "typical": values.pop("efficiency")}, **values, wide_handicap=1.0,
            cluster=cluster, channel_bytes=want.channel_bytes,
        )  # fmt: skip
        if not has_other:
            return direct, None
        values = within(TRANSFORMED, x[len(free) :])
        return direct, replace(
            direct, efficiency=dict.fromkeys((FAMILY, "typical"), values.pop("efficiency")), **values
        )

    ends = []
    for other in ({}, OTHER_START):
        first = [(start | other)[name] for name in free] + ([*TRANSFORMED_START.values()] if has_other else [])
        ends.append(settle(lambda x: warm.error(*constants(x)), np.log(first), ROUNDS, EVALUATIONS))
    direct, transformed = constants(min(ends, key=lambda x: warm.error(*constants(x))))

    def chilled(x: np.ndarray) -> tuple[GemmConstants, GemmConstants | None]:
        values = within({name: (low, high) for name, (low, high, _) in COLD.items()}, x)
        return replace(direct, **values), replace(transformed, **values) if transformed else None

    if not len(cold.measured_us):
        return direct, transformed
    first = [value for _, _, value in COLD.values()]
    return chilled(settle(lambda x: cold.error(*chilled(x)), np.log(first), (0.6, 0.3), 100))


def within(limits: Limits, x: np.ndarray) -> dict[str, float]:
    """The values whose logarithms lead ``x``, none beyond its limits."""
    low, high = np.array(list(limits.values())).T
    values = np.clip(np.exp(np.minimum(x[: len(limits)], 20.0)), low, high)
    return dict(zip(limits, values.tolist(), strict=True))
