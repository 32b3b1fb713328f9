"""Measured tables of the shared data folder, as products and streams that the theory predicts.

Every loader drops the rows that the theory does not speak about (Winograd, FFT, int8, …) and says why beside
the code. Times are in microseconds.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.cta_costs import torn_share
from headroom.predict.gemm_problems import Floats, Problems, Tiles
from headroom.predict.memory_bound import Streams
from record import DATA

TABLES = DATA / "tables"

#: Sheets of the GPUs behind the tables.
NEUSIGHT_GPUS = {
    "Tesla V100-PCIE-32GB": "v100-pcie-32gb",
    "Tesla P100-PCIE-16GB": "p100-pcie",
    "Tesla T4": "t4",
    "NVIDIA A100-PCIE-40GB": "a100-40gb-pcie",
}
BENANZA_GPUS = {"Tesla_V100-SXM2-16GB": "v100-sxm2-16gb", "TITAN_Xp": "titan-xp", "Tesla_T4": "t4"}
DEEPBENCH_GPUS = {"NV_TitanXp": "titan-xp", "NV_P100": "p100-pcie"}

#: GPUs of DeepBench that nothing is fitted on, neither constants nor error bars.
UNSEEN_GPUS = {"NV_1080Ti": "gtx-1080-ti", "NV_M40": "m40"}


@dataclass(frozen=True)
class Cases:
    """Rows of one source on one GPU. ``order`` is the row's place in the source's run, from 0 to 1.

    ``work`` is what the theory is asked; ``tiles`` the kernel's own tile where the source tells it.
    ``conv`` carries the sizes of a convolution for models that need them, and ``direction`` which pass it is;
    ``gathering`` says whether the kernels worked out addresses as they went, where the source tells the algorithm.
    """

    source: str
    gpu: GpuSpec
    kind: str
    dtype: DataType
    work: Problems | Streams
    measured_us: Floats
    labels: tuple[str, ...]
    order: Floats
    tiles: Tiles | None = None
    l2_state: str = "warm"
    may_split: bool = True
    kernels: tuple[str, ...] = ()
    conv: dict[str, Floats] | None = None
    kinds: tuple[str, ...] = ()
    direction: str = "forward"
    gathering: bool | None = None

    def __len__(self) -> int:
        return len(self.measured_us)

    @property
    def held_out(self) -> np.ndarray:
        """Half of the shapes, chosen by a hash of the shape: never fitted on."""
        return np.array([zlib.crc32(label.encode()) % 2 == 1 for label in self.labels])

    def where(self, mask: np.ndarray) -> Cases:
        index = np.flatnonzero(mask)
        pick = lambda names: tuple(names[i] for i in index) if names else ()  # noqa: E731
        return replace(
            self,
            work=_rows(self.work, index),
            measured_us=self.measured_us[index],
            labels=pick(self.labels),
            order=self.order[index],
            tiles=None if self.tiles is None else Tiles(*(getattr(self.tiles, f)[index] for f in Tiles.__slots__)),
            kernels=pick(self.kernels),
            kinds=pick(self.kinds),
            conv=None if self.conv is None else {k: v[index] for k, v in self.conv.items()},
        )


def _rows(work: Problems | Streams, index: np.ndarray) -> Problems | Streams:
    columns = {name: getattr(work, name) for name in work.__slots__}
    return replace(work, **{name: column[index] for name, column in columns.items() if column is not None})


def floats(values: object) -> Floats:
    return np.asarray(values, dtype=np.float64)


def convolution_problems(n, c, h, w, k, r, s, p, q, stride, width: float) -> Problems:
    """Forward convolutions as products, as :mod:`headroom.predict.kinds.gemm` builds them from layers."""
    n, c, h, w, k, r, s, p, q, stride = map(floats, (n, c, h, w, k, r, s, p, q, stride))
    share = np.where(stride > r, np.minimum(1, p * r / h), 1.0) * np.where(stride > s, np.minimum(1, q * s / w), 1.0)
    return Problems(
        n * p * q, k, c * r * s, np.ones_like(n),
        np.round(n * c * h * w * width * share), k * c * r * s * width, n * k * p * q * width,
        np.minimum(1.0, stride / s), torn_share(p * q, width),
    )  # fmt: skip


def matmul_problems(batch, m, n, k, width: float) -> Problems:
    b, m, n, k = map(floats, (batch, m, n, k))
    return Problems(m, n, k, b, b * m * k * width, b * k * n * width, b * m * n * width, np.ones_like(m))


def neusight_convolutions() -> list[Cases]:
    """Im2col rows only: main kernels ``scudnn_MxN`` that are not Winograd, FFT or complex GEMM."""
    table = pd.read_csv(TABLES / "neusight_conv.csv.gz")
    table["order"] = table.groupby("gpu").cumcount() / table.groupby("gpu").gpu.transform("size")
    tile = table.kernel.str.extract(r"scudnn_(\d+)x(\d+)")
    table = table[tile[0].notna() & ~table.kernel.str.contains("winograd|fft|gcgemm")]
    tile = tile.loc[table.index].astype(float)
    cases = []
    for name, rows in table.groupby("gpu"):
        hw, ones = rows.hw, np.ones(len(rows))
        problems = convolution_problems(rows.B, rows.c_in, hw, hw, rows.c_out, 3 * ones, 3 * ones, hw, hw, ones, 4)
        m, n = floats(tile.loc[rows.index, 0]), floats(tile.loc[rows.index, 1])
        cases.append(
            Cases(
                "NeuSight conv", load_gpu(NEUSIGHT_GPUS[name]), "convolution", DataType.FP32, problems,
                floats(rows.latency_ms) * 1e3,
                tuple(f"n{b} c{c} h{h} k{k} 3x3" for b, c, h, k in zip(rows.B, rows.c_in, hw, rows.c_out, strict=True)),
                floats(rows.order), Tiles(m, n, np.full_like(m, 8.0), np.ones_like(m)), may_split=False,
                kernels=tuple(rows.kernel),
                conv=_sizes(rows.B, rows.c_in, hw, hw, rows.c_out, 3 * ones, 3 * ones, ones, ones, ones),
            )
        )  # fmt: skip
    return cases


def _sizes(n, c, h, w, k, r, s, stride, pad_h, pad_w) -> dict[str, Floats]:
    names = ("n", "c", "h", "w", "k", "r", "s", "stride", "pad_h", "pad_w")
    return {name: floats(v) for name, v in zip(names, (n, c, h, w, k, r, s, stride, pad_h, pad_w), strict=True)}


#: DeepBench's column of times per pass.
_PASSES = {"forward": "fwd_ms", "dgrad": "bwd_input_ms", "wgrad": "bwd_weight_ms"}

#: How DeepBench spells a data type in training.
_PRECISIONS = {DataType.FP32: "fp32", DataType.FP16: "fp16_mixed"}


def deepbench_convolutions(
    gpus: dict[str, str] = DEEPBENCH_GPUS, direction: str = "forward", dtype: DataType = DataType.FP32
) -> list[Cases]:
    """Training rows of one pass that are likely im2col: no stride-1 3x3 (Winograd) or stride-1 filters of 5 and more
    taps a side (FFT); at least 8 input channels (others run special first-layer kernels).
    """
    table = pd.read_csv(TABLES / "deepbench_conv.csv")
    table["time_ms"] = pd.to_numeric(table[_PASSES[direction]], errors="coerce")
    table = table[(table.precision == _PRECISIONS[dtype]) & table.gpu.isin(list(gpus)) & (table.time_ms > 0)]
    r, s = table.R_filter_h, table.S_filter_w
    one = (table.stride_h == 1) & (table.stride_w == 1)
    keep = (table.stride_h == table.stride_w) & ~(one & (np.maximum(r, s) >= 3)) & (table.C >= 8)
    table = table[keep]
    cases = []
    for name, rows in table.groupby("gpu"):
        r, s = rows.R_filter_h, rows.S_filter_w
        p = (rows.H + 2 * rows.pad_h - r) // rows.stride_h + 1
        q = (rows.W + 2 * rows.pad_w - s) // rows.stride_w + 1
        width = float(dtype.bytes)
        problems = convolution_problems(rows.N, rows.C, rows.H, rows.W, rows.K, r, s, p, q, rows.stride_w, width)
        if direction != "forward":
            problems = gradient_problems(problems, rows.N * rows.H * rows.W, rows.C, direction)
        labels = zip(rows.N, rows.C, rows.H, rows.W, rows.K, r, s, rows.stride_h, strict=True)
        title = "DeepBench conv" if direction == "forward" else f"DeepBench {direction}"
        cases.append(
            Cases(
                title, load_gpu(gpus[name]), "convolution", dtype, problems,
                floats(rows.time_ms) * 1e3,
                tuple(f"n{a} c{b} {c}x{d} k{e} {f}x{g} stride {h}" for a, b, c, d, e, f, g, h in labels),
                np.zeros(len(rows)), may_split=direction == "wgrad", direction=direction,
                conv=_sizes(rows.N, rows.C, rows.H, rows.W, rows.K, r, s, rows.stride_h, rows.pad_h, rows.pad_w),
            )
        )  # fmt: skip
    return cases


def gradient_problems(forward: Problems, positions: object, channels: object, direction: str) -> Problems:
    """The products of a gradient, from the forward ones: ``positions`` of all images, and their ``channels``."""
    positions, channels, zeros = floats(positions), floats(channels), np.zeros_like(forward.m)
    taps, ones = forward.k / channels, np.ones_like(forward.m)
    if direction == "wgrad":
        return Problems(
            forward.n, forward.k, forward.m, ones, forward.c_bytes, forward.a_bytes, forward.b_bytes, ones, zeros
        )
    depth = np.ceil(forward.m * forward.n * channels * taps / (positions * channels))
    return Problems(positions, channels, depth, ones, forward.c_bytes, forward.b_bytes, forward.a_bytes, ones, zeros)


def benanza_convolutions(algorithm: str, dtype: DataType = DataType.FP32) -> list[Cases]:
    """Forward rows of one im2col algorithm; depthwise rows (which no tile fits) are left out.

    Fp16 rows ran on tensor cores with NCHW tensors; what the library does around that is in the constant.
    """
    table = pd.read_csv(TABLES / "benanza_conv_algos.csv.gz")
    spelling = {DataType.FP32: "FLOAT32", DataType.FP16: "TENSORCOREHALF"}[dtype]
    table = table[(table.dtype == spelling) & (table.op == "CONV_FWD") & (table.algo == algorithm)]
    table = table[(table.group == 1) & (table.stride_h == table.stride_w) & (table.dil_h == 1)]
    shape = ["N", "C", "H", "W", "K", "R", "S", "pad_h", "pad_w", "stride_h"]
    table = table.groupby(["gpu", *shape], as_index=False).real_ns.median()
    cases = []
    for name, rows in table.groupby("gpu"):
        p = (rows.H + 2 * rows.pad_h - rows.R) // rows.stride_h + 1
        q = (rows.W + 2 * rows.pad_w - rows.S) // rows.stride_h + 1
        problems = convolution_problems(rows.N, rows.C, rows.H, rows.W, rows.K, rows.R, rows.S, p, q, rows.stride_h, 4)
        labels = zip(*(rows[c] for c in ("N", "C", "H", "W", "K", "R", "S", "stride_h")), strict=True)
        cases.append(
            Cases(
                f"Benanza {algorithm}{'' if dtype is DataType.FP32 else ' fp16'}", load_gpu(BENANZA_GPUS[name]),
                "convolution", dtype, problems,
                floats(rows.real_ns) / 1e3,
                tuple(f"n{a} c{b} {c}x{d} k{e} {f}x{g} stride {h}" for a, b, c, d, e, f, g, h in labels),
                np.zeros(len(rows)), may_split=False,
                conv=_sizes(*(rows[c] for c in ("N", "C", "H", "W", "K", "R", "S", "stride_h", "pad_h", "pad_w"))),
                gathering=algorithm == "IMPLICIT_GEMM",
            )
        )  # fmt: skip
    return cases


def neusight_matmuls(kind: str) -> list[Cases]:
    """``linear`` or ``bmm``: fp32 products of (``B`` times ``M``) x ``N`` by ``N`` x ``K`` for a linear layer, of
    ``B`` times ``M`` x ``N`` by ``N`` x ``K`` for batched ones: the table's ``N`` is what the product sums over.

    The kernels' grids say so: they are the number of the kernels' tiles that this reading gives, times the parts of the
    sum, in every row (of the other reading in one of fifty). The library's products are column-major, so that a tile
    in a kernel's name is first along the output's columns.
    """
    table = pd.read_csv(TABLES / f"neusight_{kind}.csv.gz")
    table["order"] = table.groupby("gpu").cumcount() / table.groupby("gpu").gpu.transform("size")
    table["m"], table["batch"] = (table.B * table.M, 1) if kind == "linear" else (table.M, table.B)
    tile = table.kernel.str.extract(r"sgemm_(\d+)x(\d+)").astype(float)
    table["tile_n"], table["tile_m"] = tile[0], tile[1]
    return [_neusight_cases(kind, name, rows) for name, rows in table.groupby("gpu")]


def _neusight_cases(kind: str, name: str, rows: pd.DataFrame) -> Cases:
    problems = matmul_problems(rows.batch, rows.m, rows.K, rows.N, 4)
    tile_m, tile_n = floats(rows.tile_m), floats(rows.tile_n)
    ctas = np.ceil(problems.m / tile_m) * np.ceil(problems.n / tile_n) * problems.batch
    splits = np.maximum(1.0, np.round(floats(rows.grid_x * rows.grid_y * rows.grid_z) / ctas))
    labels = zip(rows.B, rows.M, rows.N, rows.K, strict=True)
    return Cases(
        f"NeuSight {kind}", load_gpu(NEUSIGHT_GPUS[name]), "matmul", DataType.FP32, problems,
        floats(rows.latency_ms) * 1e3, tuple(f"{b}x({m}x{k})({k}x{n})" for b, m, k, n in labels), floats(rows.order),
        Tiles(tile_m, tile_n, np.full_like(tile_m, 8.0), splits), kernels=tuple(rows.kernel.astype(str)),
    )  # fmt: skip


def deepbench_matmuls(gpus: dict[str, str] = DEEPBENCH_GPUS) -> list[Cases]:
    """Fp32 rows."""
    table = pd.read_csv(TABLES / "deepbench_gemm.csv")
    table = table[(table.precision == "fp32") & table.gpu.isin(list(gpus)) & (table.time_ms > 0)]
    return [
        Cases(
            "DeepBench GEMM", load_gpu(gpus[name]), "matmul", DataType.FP32,
            matmul_problems(np.ones(len(rows)), rows.M, rows.N, rows.K, 4), floats(rows.time_ms) * 1e3,
            tuple(
                f"({m}x{k})({k}x{n}) {a}{b}"
                for m, n, k, a, b in zip(rows.M, rows.N, rows.K, rows.a_trans, rows.b_trans, strict=True)
            ),
            np.zeros(len(rows)),
        )
        for name, rows in table.groupby("gpu")
    ]  # fmt: skip


#: Columns of the aiconfigurator table: the sheet, and which operands its collector has six copies of. Its CUDA graph
#: launches the product once with each: SGLang's collector copies both operands, vLLM's the weights alone.
AICONFIGURATOR_COLUMNS = {
    "a100_sxm__sglang_0.5.10": ("a100-80gb-sxm", "operands-rotated"),
    "l40s__vllm_0.24.0": ("l40s", "weights-rotated"),
}


def aiconfigurator_matmuls() -> list[Cases]:
    """Bf16 products under CUDA graphs. Small operands stay in L2 in all their copies, large ones do not.

    Rows of one (m = 1) are matrix-vector products and go to the streaming model.
    """
    table = pd.read_csv(TABLES / "aiconfigurator_gemm_bf16.csv.gz")
    cases = []
    for column, (gpu, l2_state) in AICONFIGURATOR_COLUMNS.items():
        rows = table[table[column].notna() & (table.m > 1)]
        cases.append(
            Cases(
                "aiconfigurator bf16", load_gpu(gpu), "matmul", DataType.BF16,
                matmul_problems(np.ones(len(rows)), rows.m, rows.n, rows.k, 2), floats(rows[column]) * 1e3,
                tuple(f"({m}x{k})({k}x{n})" for m, n, k in zip(rows.m, rows.n, rows.k, strict=True)),
                np.zeros(len(rows)), l2_state=l2_state,
            )
        )  # fmt: skip
    return cases


#: Benanza's cuDNN calls: the layer kind, bytes moved per element, and independent sweeps.
_STREAM_OPS = {
    "CUDNN_ACTIVATION_FWD": ("activation", 2.0, 1.0),
    "CUDNN_BATCHNORM_FWD_INFERENCE": ("normalization", 2.0, 1.0),
    "CUDNN_OP_TENSOR_ADD_FWD": ("elementwise", 3.0, 1.0),
    "CUDNN_OP_TENSOR_MUL_FWD": ("elementwise", 3.0, 1.0),
    "CUDNN_SOFTMAX_FWD": ("softmax", 2.0, 2.0),
    "CUDNN_POOLING_FWD": ("pooling", 1.0, 1.0),
}


def benanza_streams() -> list[Cases]:
    """Memory-bound cuDNN calls of 30 networks; a pooling's output adds to its bytes.

    Also matrix-vector products (cuBLAS gemv), whose matrix is nearly all of their bytes.
    """
    kernels = pd.read_csv(TABLES / "benanza_kernels.csv.gz")
    table = pd.read_csv(TABLES / "benanza_kernel_times.csv.gz").merge(kernels, on="kernel_id")
    table = table[table.op.isin([*_STREAM_OPS, "CUBLAS_GEMV_FWD"])].copy()
    for column in ("N", "C", "H", "W"):
        table[column] = table[column].where(table[column] > 0, 1)
    elements = table.N * table.C * table.H * table.W
    p = (table.H + 2 * table.pad_h - table.R) // table.stride_h + 1
    q = (table.W + 2 * table.pad_w - table.S) // table.stride_w + 1
    pooled = (table.op == "CUDNN_POOLING_FWD").to_numpy()
    out = np.where(pooled, table.N * table.C * p.clip(lower=1) * q.clip(lower=1), elements)
    gemv = (table.op == "CUBLAS_GEMV_FWD").to_numpy()
    per_element = table.op.map(lambda op: _STREAM_OPS.get(op, ("matvec", 1.0, 1.0))[1]).to_numpy()
    table["moved"] = 4.0 * (elements * per_element + np.where(pooled, out, 0))
    table["values"] = np.where(gemv, table.N, out)
    table["kind"] = table.op.map(lambda op: _STREAM_OPS.get(op, ("matvec", 1.0, 1.0))[0])
    table["passes"] = table.op.map(lambda op: _STREAM_OPS.get(op, ("matvec", 1.0, 1.0))[2])
    table = table.drop_duplicates(["gpu", "op", "algo", "N", "C", "H", "W", "R", "S", "pad_h", "stride_h"])
    return [_stream_cases(name, rows) for name, rows in table.groupby("gpu")]


def _stream_cases(name: str, rows: pd.DataFrame) -> Cases:
    ones = np.ones(len(rows))
    window = np.where(rows.kind == "pooling", (rows.R * rows.S).fillna(1), ones)
    values = floats(rows["values"])
    work = Streams(floats(rows.moved), ones, floats(rows.passes), values, values * window, 0.0 * ones, window)
    labels = zip(rows.op, rows.N, rows.C, rows.H, rows.W, rows.R.fillna(0), strict=True)
    return Cases(
        "Benanza kernels", load_gpu(BENANZA_GPUS[name]), "stream", DataType.FP32, work, floats(rows.real_ns) / 1e3,
        tuple(f"{op} {n}x{c}x{h}x{w} window {int(r)}" for op, n, c, h, w, r in labels), np.zeros(len(rows)),
        kinds=tuple(rows.kind),
    )  # fmt: skip
