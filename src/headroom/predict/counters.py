"""What the hardware counters will say of a layer, where the theory was compared with them: once from empty caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.predict.counted_bytes import LEARNED, Counted, Launch, Learned, counted
from headroom.predict.counted_launches import COUNTED, counted_choice, inside, pitch_bytes
from headroom.predict.delta import ConvBatch
from headroom.predict.fourier_bytes import LEARNED_FOURIER, LearnedFourier, counted_fourier
from headroom.predict.gemm_problems import Tiles
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import is_direct, problems_of, sorts_of, tiled_of
from headroom.predict.library import fastest
from headroom.predict.own.choice import calibration_of


@dataclass(frozen=True, slots=True)
class KnownKernel:
    """The kernel that a layer runs on, as its name and its launch tell: the CTA tile, the parts of K, the cluster's
    CTAs along M and N, whether tensor copies load past L1 (``bulk``), whether CTAs run down one column after the other
    (``by_rows``) and how many one SM holds; ``fourier`` where it is no product of the layer's own.
    """

    tile_m: int
    tile_n: int
    tile_k: int
    splits: int = 1
    along_m: int = 1
    along_n: int = 1
    bulk: bool = False
    by_rows: bool = False
    resident: int = 1
    fourier: bool = False


@dataclass(frozen=True, slots=True)
class LevelBytes:
    """Bytes that cross L1, L2 and DRAM."""

    l1: float
    l2: float
    dram: float


def predict_counters(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType) -> list[LevelBytes]:
    """The counters of forward convolutions and matrix products, with the theory's own choice of kernel.

    Raises:
        UsageError: the GPU's counters were not compared with, or a layer is of another kind.
    """
    _refuse(layers, gpu)
    context = Context(gpu, dtype, "cold", None, calibration_of(gpu))
    found: list[LevelBytes] = []
    for layer, sort in zip(layers, sorts_of(layers, context), strict=True):
        tiled = tiled_of([layer], dtype, sort)
        choice = fastest(tiled, gpu, dtype, context.calibration, context.l2_state)
        found.append(_single(counted_choice(choice, tiled, gpu, dtype)))
    return found


def counters_of(
    layer: Layer,
    kernel: KnownKernel,
    gpu: GpuSpec,
    dtype: DataType,
    learned: Learned = LEARNED,
    fourier: LearnedFourier = LEARNED_FOURIER,
) -> LevelBytes:
    """The counters of one forward convolution or matrix product on a kernel that is known.

    Raises:
        UsageError: as :func:`predict_counters`.
    """
    _refuse([layer], gpu)
    work = layer.work
    convs = ConvBatch.of([work], dtype.bytes) if isinstance(work, Convolution) else None
    if kernel.fourier:
        if convs is None:
            raise UsageError(f"layer {layer.name!r} is no convolution, so that no Fourier transform runs it")
        return _single(counted_fourier(convs, gpu, fourier))
    problems = problems_of([layer], dtype, "forward" if convs is not None else "matmul")
    one = np.ones(1)
    gathers = convs is not None and bool(convs.taps[0] > 1.0)
    launch = Launch(
        resident=one * kernel.resident,
        along_m=one * kernel.along_m,
        along_n=one * kernel.along_n,
        bulk=np.array([kernel.bulk]),
        by_rows=np.array([kernel.by_rows]),
        inside=one if convs is None else inside(convs),
        taps=convs.s if convs is not None and gathers else one,
        pitch_bytes=one * 64.0 if convs is None else pitch_bytes(convs, plain=not kernel.bulk),
    )
    tiles = Tiles(*(one * size for size in (kernel.tile_m, kernel.tile_n, kernel.tile_k, kernel.splits)))
    if not gathers:
        problems = replace(problems, a_reuse=one)
    return _single(counted(problems, tiles, launch, gpu, float(dtype.bytes), learned))


def _refuse(layers: Sequence[Layer], gpu: GpuSpec) -> None:
    if gpu.compute_capability not in COUNTED:
        raise UsageError(f"the counters of {gpu.name} were not compared with; those of compute capability 9.0 were")
    for layer in layers:
        is_other = isinstance(layer.work, Convolution) and (layer.work.direction != "forward" or is_direct(layer))
        if layer.gemm is None or is_other:
            raise UsageError(f"layer {layer.name!r} is neither a forward convolution nor a matrix product")


def _single(found: Counted) -> LevelBytes:
    return LevelBytes(float(found.l1[0]), float(found.l2[0]), float(found.dram[0]))
