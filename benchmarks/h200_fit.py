"""Hopper's own constants, fitted on half of the layers timed on an H200, and error bars from the other half.

Hopper works in another way than the architectures before it: clusters of CTAs share the loads of an operand
(multicast), one warp group multiplies 64 rows at a time straight from shared memory, and large products are limited
by power. So it has its own set of the tile model's constants per library (products and convolutions) and unit;
and its streaming kernels are PyTorch 2.11's, not cuDNN 7.6's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares, minimize

from h200_rows import Timed, timed_layers
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import AttentionConstants, GemmConstants, KernelCost, StreamConstants, unit_of
from headroom.predict.gemm_time import Problems
from headroom.predict.kinds.gemm import problems_of
from headroom.predict.kinds.streaming import sort_of, streams_of
from headroom.predict.memory_bound import Streams, estimate_streams
from headroom.predict.model import predict_layers
from headroom.predict.tiles import choose, divides_depth

GPU = load_gpu("h200")
FAMILY = "hopper"

#: Streaming multiprocessor pairs share loads: cuBLAS and cuDNN launch Hopper's large tiles in clusters of two.
CLUSTER = 2.0

#: Residuals beyond this factor (in log) count as this much: rows that ran another kind of kernel.
CAP = 1.0

#: Least and most of what is physically possible, in the order of the fit. Large products draw the board's power limit
#: at 70 to 83 % of the datasheet's rate, which caps the efficiency, and loads do not get less from the L2
#: than the sheet's measured bandwidth by much: without these limits the fit calls the loads what the power is.
LIMITS: dict[str, tuple[float, float]] = {
    "efficiency": (0.35, 0.75), "launch_factor": (0.1, 3.0), "half_warps": (0.0, 10.0), "edge_cost": (1.0, 25.0),
    "round_latencies": (0.0, 10.0), "slice_ns": (0.0, 400.0), "dram_share": (0.9, 1.15), "l2_share": (0.85, 1.0),
    "cache_share": (0.2, 1.0),
}  # fmt: skip

#: Convolutions on tensor cores: gathering costs small tiles more, and their loads reach less of the L2's bandwidth.
GATHERING: dict[str, tuple[float, float]] = {
    "efficiency": (0.7, 0.75), "edge_cost": (1.0, 150.0), "l2_share": (0.7, 1.0), "gather_wait": (0.0, 4.0),
}  # fmt: skip

#: Products: what summing the parts of a divided K adds is fitted too.
DIVIDING: dict[str, tuple[float, float]] = {"split_launches": (0.0, 3.0)}

#: Where the fits of the tile model start, and on plain units where they differ.
START: dict[str, float] = {
    "efficiency": 0.7, "launch_factor": 0.5, "half_warps": 0.05, "edge_cost": 20.0, "round_latencies": 1.0,
    "slice_ns": 30.0, "dram_share": 1.05, "l2_share": 0.9, "cache_share": 0.7, "gather_wait": 0.1,
    "split_launches": 0.5,
}  # fmt: skip
PLAIN_START: dict[str, float] = {
    "launch_factor": 0.9, "half_warps": 0.5, "edge_cost": 10.0, "round_latencies": 2.0, "dram_share": 1.0,
}  # fmt: skip

#: The sets of the tile model's constants: name in the calibration file, unit, library, operation and data types. TF32
#: products run other kernels than 16-bit ones (their 32-bit operands leave room for half the tile).
GEMM_SETS = (
    ("tensor matmul", "tensor", "matmul", "matmul", (DataType.BF16,)),
    ("tf32 matmul", "tensor", "matmul", "matmul", (DataType.TF32,)),
    ("tensor convolution", "tensor", "convolution", "conv2d", (DataType.BF16, DataType.TF32)),
    ("plain matmul", "plain", "matmul", "matmul", (DataType.FP32,)),
    ("plain convolution", "plain", "convolution", "conv2d", (DataType.FP32,)),
)
TILED_OPS = ("matmul", "conv2d")

#: Which costs a sort of kernel can have beside its bytes.
COSTS: dict[str, tuple[str, ...]] = {
    "activation": ("start_us",),
    "costly activation": ("start_us", "value_cycles"),
    "elementwise": ("start_us",),
    "layer normalization": ("start_us", "value_cycles", "group_cycles"),
    "softmax": ("start_us", "value_cycles", "group_cycles"),
    "reduction": ("start_us", "group_cycles"),
    "transposition": ("start_us", "value_cycles"),
    "movement": ("start_us",),
    "normalization": ("start_us", "factor"),
    "pooling": ("start_us", "value_cycles"),
    "global pooling": ("start_us",),
    "depthwise": ("start_us", "tap_us", "value_cycles"),
    "matvec": ("start_us", "tap_us"),
}


#: Where the fit of the streams starts: a cost that is hidden behind the bytes at its start would stay there.
FIRST: dict[str, dict[str, float]] = {
    "start_us": {"": 0.3},
    "tap_us": {"": 0.05, "matvec": 0.0003},
    "factor": {"": 1.2},
    "group_cycles": {"": 60.0, "layer normalization": 360.0},
    "value_cycles": {"": 0.4, "layer normalization": 0.7, "transposition": 1.9, "depthwise": 0.05},
}


@dataclass(frozen=True)
class Products:
    """Rows of one data type that the tile model speaks about."""

    dtype: DataType
    unit: str
    work: Problems
    measured_us: np.ndarray
    may_split: bool

    @classmethod
    def of(cls, rows: Sequence[Timed], unit: str, library: str) -> Products:
        dtype = rows[0].dtype
        work = problems_of([row.layer for row in rows], dtype)
        sort = "matmul" if library == "matmul" else "forward"
        return cls(dtype, unit, work, measured(rows), divides_depth(GPU, unit, sort))

    def time_us(self, constants: GemmConstants) -> np.ndarray:
        found = choose(self.work, GPU, self.dtype, self.unit, constants, "warm", may_split=self.may_split)
        return found[0].time_us


def measured(rows: Sequence[Timed]) -> np.ndarray:
    return np.array([row.measured_us for row in rows])


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


def fit_gemm(rows: Sequence[Timed], unit: str, library: str) -> GemmConstants:
    """One set for one unit's data types and one library's kernels."""
    dtypes = sorted({row.dtype for row in rows})
    parts = [Products.of([row for row in rows if row.dtype == d], unit, library) for d in dtypes]
    own = {"tensor convolution": GATHERING, "tensor matmul": DIVIDING, "plain matmul": DIVIDING}
    limits = LIMITS | own.get(f"{unit} {library}", {})
    start = START | (PLAIN_START if unit == "plain" else {})
    names, (low, high) = list(limits), np.array(list(limits.values())).T

    def constants(x: np.ndarray) -> GemmConstants:
        values = dict(zip(names, np.clip(np.exp(x), low, high).tolist(), strict=True))
        share = values.pop("efficiency")
        cluster = CLUSTER if unit == "tensor" else 1.0
        return GemmConstants({FAMILY: share, "typical": share}, **values, wide_handicap=1.0, cluster=cluster)

    def objective(x: np.ndarray) -> float:
        trial = constants(x)
        return float(np.concatenate([off(p.time_us(trial), p.measured_us) for p in parts]).mean())

    return constants(settle(objective, np.log([start[name] for name in names]), (0.4, 0.3, 0.2, 0.1)))


def fit_streams(rows: Sequence[Timed]) -> StreamConstants:
    """Shared shares, and each sort's own costs."""
    names = [(sort, name) for sort, costs in COSTS.items() for name in costs]
    groups = by_dtype(rows)

    def constants(x: np.ndarray) -> StreamConstants:
        launch, dram, l2, cache = map(float, np.exp(x[:4]))
        values: dict[str, dict[str, float]] = {sort: {} for sort in COSTS}
        for (sort, name), value in zip(names, np.exp(x[4:]), strict=True):
            values[sort][name] = float(value)
        kernels = {sort: KernelCost(**costs) for sort, costs in values.items()}
        return StreamConstants(launch, 0.0, dram, l2, cache, kernels, [FAMILY, "blackwell"])

    def residuals(x: np.ndarray) -> np.ndarray:
        trial = constants(x)
        return np.concatenate([np.log(streamed(*group, trial) / measured(part)) for part, group in groups])

    start = np.log([0.5, 1.05, 0.65, 0.8] + [FIRST[name].get(sort, FIRST[name][""]) for sort, name in names])
    return constants(least_squares(residuals, start, loss="soft_l1", f_scale=0.1, max_nfev=60).x)


Group = tuple[DataType, Streams, list[str]]


def by_dtype(rows: Sequence[Timed]) -> list[tuple[list[Timed], Group]]:
    """Rows of each data type with what the streaming model asks of them."""
    answer = []
    for dtype in sorted({row.dtype for row in rows}):
        part = [row for row in rows if row.dtype == dtype]
        layers = [row.layer for row in part]
        answer.append((part, (dtype, streams_of(layers, dtype), [sort_of(layer) for layer in layers])))
    return answer


def streamed(dtype: DataType, streams: Streams, sorts: list[str], constants: StreamConstants) -> np.ndarray:
    plain = GPU.peak_tflops(dtype, tensor=False)
    return estimate_streams(streams, sorts, GPU, plain, constants, "warm").time_us


def fit_attention(rows: Sequence[Timed], calibration: Calibration) -> AttentionConstants:
    """On the whole prediction, layer by layer."""

    # Least and most of what is possible, for the reasons given at LIMITS.
    least = np.array([0.1, 0.1, 0.0, 0.5, 0.5, 0.9, 0.85, 0.2])
    most = np.array([4.0, 4.0, 10.0, 0.9, 1.0, 1.15, 1.0, 1.0])

    def constants(x: np.ndarray) -> AttentionConstants:
        return AttentionConstants(*np.clip(np.exp(x), least, most).tolist())

    def objective(x: np.ndarray) -> float:
        return float(off(predicted(rows, replace(calibration, attention=constants(x))), measured(rows)).mean())

    first = np.log([2.2, 1.2, 0.5, 0.85, 0.8, 1.05, 0.6, 0.8])
    return constants(settle(objective, first, (0.3, 0.2, 0.1)))


def predicted(rows: Sequence[Timed], calibration: Calibration) -> np.ndarray:
    """What the package says about each row."""
    times = np.zeros(len(rows))
    for dtype in sorted({row.dtype for row in rows}):
        which = [i for i, row in enumerate(rows) if row.dtype == dtype]
        answers = predict_layers([rows[i].layer for i in which], GPU, dtype, calibration=calibration)
        times[which] = [answer.time_us for answer in answers]
    return times


def with_hopper(calibration: Calibration) -> Calibration:
    """``calibration`` with Hopper's own constants."""
    rows = [row for row in timed_layers() if not row.held_out]
    own = {
        f"{FAMILY} {name}": fit_gemm([r for r in rows if r.op == op and r.dtype in dtypes], unit, library)
        for name, unit, library, op, dtypes in GEMM_SETS
    }
    streams = fit_streams([row for row in rows if row.op not in (*TILED_OPS, "attention")])
    fitted = replace(calibration, own_gemm=own, own_stream={FAMILY: streams})
    return replace(fitted, attention=fit_attention([row for row in rows if row.op == "attention"], fitted))


def hopper_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Per sort of kernel and unit, the half-width that holds four of five held-out rows."""
    rows = [row for row in timed_layers() if row.held_out]
    far = 100 * np.abs(measured(rows) / predicted(rows, calibration) - 1)
    groups: dict[tuple[str, str], list[float]] = {}
    for row, distance in zip(rows, far, strict=True):
        groups.setdefault(group_of(row), []).append(float(distance))
    return [
        {
            "kind": kind, "unit": unit, "family": FAMILY, "regime": "any",
            "error_pct": round(float(np.quantile(distances, 0.8)), 1), "rows": len(distances),
        }
        for (kind, unit), distances in sorted(groups.items())
    ]  # fmt: skip


def group_of(row: Timed) -> tuple[str, str]:
    """Kind and unit of a row's error bar."""
    if row.op in (*TILED_OPS, "attention"):
        return row.layer.kind.value, unit_of(GPU, row.dtype)
    return sort_of(row.layer), "plain"
