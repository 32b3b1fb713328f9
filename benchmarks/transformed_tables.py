"""Measured runs of Winograd's and the FFT's kernels: which algorithm ran each row is told by the source.

NeuSight's rows are what the library's heuristic chose, told by the main kernel's name and by its grid, which has one
product per element of the transformed tile. Benanza's rows name the algorithm that was asked for.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.predict.delta import ConvBatch
from headroom.predict.gemm_problems import Floats
from tables import BENANZA_GPUS, NEUSIGHT_GPUS, TABLES, floats

#: Grid depth of a NeuSight row's product, by the algorithm that has as many products.
_PRODUCTS = {36: "WINOGRAD_NONFUSED", 544: "FFT_TILING", 144: "FFT", 40: "FFT", 2112: "FFT", 8320: "FFT"}

#: Algorithms that gather the input as im2col lists it.
_IM2COL = ("GEMM", "IMPLICIT_GEMM", "IMPLICIT_PRECOMP_GEMM", "DIRECT")

_SHAPE = ["N", "C", "H", "W", "K", "R", "S", "pad_h", "pad_w"]


@dataclass(frozen=True)
class Runs:
    """Rows of one source, GPU and algorithm (a name that cuDNN gives); times in microseconds.

    ``order`` is the row's place in the source's run, from 0 to 1.
    """

    source: str
    gpu: GpuSpec
    algorithm: str
    convs: ConvBatch
    measured_us: Floats
    labels: tuple[str, ...]
    order: Floats

    def __len__(self) -> int:
        return len(self.measured_us)

    @property
    def held_out(self) -> np.ndarray:
        """Half of the shapes, chosen by a hash of the shape: never fitted on."""
        return np.array([zlib.crc32(label.encode()) % 2 == 1 for label in self.labels])

    def where(self, mask: np.ndarray) -> Runs:
        index = np.flatnonzero(mask)
        labels = tuple(self.labels[i] for i in index)
        return replace(
            self,
            convs=self.convs.take(index),
            measured_us=self.measured_us[index],
            labels=labels,
            order=self.order[index],
        )


@dataclass(frozen=True)
class FastestRuns(Runs):
    """The least time of each shape; ``winners`` names its algorithm, ``every_us`` has the times of all known ones."""

    winners: np.ndarray
    every_us: pd.DataFrame

    def is_about_fastest(self, index: int, algorithm: str) -> bool:
        """Whether ``algorithm`` is the fastest, or measured and at most a tenth slower."""
        times = self.every_us.iloc[index]
        return bool(algorithm in times and times[algorithm] <= 1.1 * times.min())


def neusight_runs() -> list[Runs]:
    """3x3 convolutions whose main kernel is Winograd's or a product per frequency or tile element."""
    table = pd.read_csv(TABLES / "neusight_conv.csv.gz")
    table["order"] = table.groupby("gpu").cumcount() / table.groupby("gpu").gpu.transform("size")
    fused = table.kernel.str.contains("winograd")
    table["algorithm"] = np.where(fused, "WINOGRAD", table.grid_z.map(_PRODUCTS).astype(object))
    product = table.kernel.str.contains("gemm_") & ~table.kernel.str.contains("convolve|scudnn")
    table = table[(fused | product) & table.algorithm.notna()]
    rows = table.assign(R=3, S=3, pad_h=1, pad_w=1, N=table.B, C=table.c_in, H=table.hw, W=table.hw, K=table.c_out)
    return _runs("NeuSight conv", rows.assign(us=rows.latency_ms * 1e3), NEUSIGHT_GPUS)


def benanza_runs() -> list[Runs]:
    """Forward rows with unit steps and one group: all algorithms of a few layers, the best or advised one of many."""
    return _runs("Benanza", _benanza_table(), BENANZA_GPUS)


def fastest_runs() -> list[FastestRuns]:
    """Per GPU, the least time that Benanza has of each layer, whatever the algorithm."""
    table = _benanza_table()
    found = []
    for name, rows in table.groupby("gpu"):
        times = rows.assign(algorithm=rows.algorithm.where(~rows.algorithm.isin(_IM2COL), "IM2COL"))
        wide = times.pivot_table(index=_SHAPE, columns="algorithm", values="us", aggfunc="min")
        least = wide.reset_index().assign(
            gpu=name, algorithm="any", order=0.0, us=wide.min(axis=1).to_numpy()
        )  # fmt: skip
        (runs,) = _runs("Benanza", least, BENANZA_GPUS)
        winners = wide.idxmin(axis=1).to_numpy().astype(str)
        fields = {field: getattr(runs, field) for field in runs.__dataclass_fields__}
        found.append(FastestRuns(**fields, winners=winners, every_us=wide))
    return found


def _benanza_table() -> pd.DataFrame:
    every = pd.read_csv(TABLES / "benanza_conv_algos.csv.gz")
    every = every[(every.dtype == "FLOAT32") & (every.op == "CONV_FWD")]
    kernels = pd.read_csv(TABLES / "benanza_kernels.csv.gz")
    some = pd.read_csv(TABLES / "benanza_kernel_times.csv.gz").merge(kernels, on="kernel_id")
    some = some[some.op == "CUDNN_CONV_FWD"]
    some = some.assign(algo=some.algo.str.replace("CUDNN_CONVOLUTION_FWD_ALGO_", ""))
    table = pd.concat([every, some])
    table = table[(table.group == 1) & (table.stride_h == 1) & (table.stride_w == 1) & (table.dil_h == 1)]
    table = table[table[["R", "S"]].min(axis=1) >= 3]
    table = table.groupby(["gpu", "algo", *_SHAPE], as_index=False).real_ns.median()
    return table.assign(us=table.real_ns / 1e3, algorithm=table.algo, order=0.0)


def _runs(source: str, table: pd.DataFrame, gpus: dict[str, str]) -> list[Runs]:
    found = []
    for (name, algorithm), rows in table.groupby(["gpu", "algorithm"]):
        sizes = [floats(rows[column]) for column in _SHAPE]
        n, c, h, w, k, r, s, pad_h, pad_w = sizes
        labels = tuple("n{:.0f} c{:.0f} {:.0f}x{:.0f} k{:.0f} {:.0f}x{:.0f}".format(*row[:7]) for row in zip(*sizes))  # noqa: B905
        convs = ConvBatch.build(n=n, c=c, h=h, w=w, k=k, r=r, s=s, pad_h=pad_h, pad_w=pad_w)
        found.append(
            Runs(source, load_gpu(gpus[str(name)]), str(algorithm), convs, floats(rows.us), labels, floats(rows.order))
        )
    return found
