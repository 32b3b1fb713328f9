"""Rates of the units: fused multiply-adds per data type, and matrix products on the tensor cores.

Two ways lead to the tensor cores: ``mma.sync``, which every GPU since Turing has, and ``wgmma``, which alone reaches
Hopper's full rate. The faster one is the GPU's rate; both are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headroom.measure.kernels.registry import CONSTANTS
from headroom.measure.probe import fragments
from headroom.measure.probe.bench import ProbeBench, expect
from headroom.measure.probe.result import Figure, Findings

_CHAINS, _FMA_STEPS, _MMA_STEPS = (CONSTANTS[name] for name in ("CHAINS", "FMA_STEPS", "MMA_STEPS"))

#: Rounds of a launch: some hundred microseconds. Counts and sums stay below 2^24, which fp32 holds exactly.
_FMA_ROUNDS = 64
_MMA_ROUNDS = 200

_FMA_THREADS = 512
_MMA_THREADS = 256
#: CTAs per SM: 16 warps with eight independent products each keep four tensor cores busy.
_MMA_CTAS_PER_SM = 2

#: Numbers that one register of the plain units holds.
_LANES = {"fp32": 1, "fp64": 1, "fp16": 2, "bf16": 2}


@dataclass(frozen=True, slots=True)
class Product:
    """A tensor-core instruction: D (m x n) += A (m x k) x B (k x n) in data type ``kind``."""

    kernel: str
    kind: str
    m: int
    n: int
    k: int

    @property
    def macs(self) -> int:
        return self.m * self.n * self.k


#: In order of preference, the last that a GPU has wins: older shapes are emulated on newer tensor cores.
_MMA = (
    Product("mma_fp16_m16n8k8", "fp16", 16, 8, 8),
    Product("mma_int8_m8n8k16", "int8", 8, 8, 16),
    Product("mma_tf32_m16n8k8", "tf32", 16, 8, 8),
    Product("mma_fp16_m16n8k16", "fp16", 16, 8, 16),
    Product("mma_bf16_m16n8k16", "bf16", 16, 8, 16),
    Product("mma_int8_m16n8k32", "int8", 16, 8, 32),
    Product("mma_fp8_m16n8k32", "fp8", 16, 8, 32),
)

_WGMMA = tuple(
    Product(f"wgmma_{kind}", kind, 64, 256, 32 // width) for kind, width in fragments.WIDTHS.items()
)  # fmt: skip

#: Kinds of the plain units with the kernels that measure them.
PLAIN_KINDS = tuple(_LANES)
TENSOR_KINDS = tuple(fragments.WIDTHS)


def plain(bench: ProbeBench, kind: str) -> Findings:
    """Fused multiply-adds on the plain units in ``kind``; nothing where the GPU has no such instruction."""
    kernel = f"fma_{kind}"
    if not bench.launcher.has(kernel):
        return Findings()
    grid = bench.sms * (bench.threads_per_sm // _FMA_THREADS)
    totals = bench.launcher.zeros(grid * _FMA_THREADS, dtype=bench.torch.float32)
    laps = bench.launcher.zeros(2 * grid)
    numbers = (np.uint32(1), np.uint32(_FMA_ROUNDS))

    def launch() -> None:
        bench.launcher.launch(kernel, grid, _FMA_THREADS, *numbers, totals, laps)

    launch()
    steps = _FMA_ROUNDS * _FMA_STEPS * _CHAINS * _LANES[kind]
    expect(bool((totals == steps).all()), f"the count of multiply-adds in {kind}")
    tflops = 2 * steps * totals.numel() / bench.time_us(launch) / 1e6
    how = "fused multiply-adds, eight chains per thread"
    return Findings((Figure(f"plain_tflops.{kind}", tflops, "TFLOPS", how, bench.clock_mhz(laps)),))


def mma(bench: ProbeBench, kind: str) -> Findings:
    """Tensor cores through ``mma.sync``; nothing where the GPU has none for ``kind``."""
    choices = [product for product in _MMA if product.kind == kind and bench.launcher.has(product.kernel)]
    if not choices:
        return Findings()
    product = choices[-1]
    a, b = _operands(product)
    expected = _MMA_ROUNDS * _MMA_STEPS * _CHAINS * (a @ b)
    assert abs(expected).max() < 2**24, "sums would not be exact"
    grid = bench.sms * _MMA_CTAS_PER_SM
    warps = grid * _MMA_THREADS // 32
    dtype = bench.torch.int32 if kind == "int8" else bench.torch.float32
    out = bench.launcher.zeros(warps, 32, product.m * product.n // 32, dtype=dtype)
    launch, laps = _launch(
        bench, product, grid, fragments.a_fragments(a, kind), fragments.b_fragments(b, kind), _MMA_ROUNDS, out
    )
    launch()
    found = fragments.d_of_fragments(out.cpu().numpy())
    expect(bool((found == expected).all()), f"the product through {product.kernel}")
    flops = 2.0 * product.macs * _MMA_STEPS * _CHAINS * _MMA_ROUNDS * warps
    tflops = flops / bench.time_us(launch) / 1e6
    return Findings(
        (Figure(f"mma_tflops.{kind}", tflops, "TFLOPS", f"mma.sync {_shape(product)}", bench.clock_mhz(laps)),)
    )


def wgmma(bench: ProbeBench, kind: str) -> Findings:
    """Hopper's tensor cores through ``wgmma``; nothing on any other GPU."""
    product = next(product for product in _WGMMA if product.kind == kind)
    if not bench.launcher.has(product.kernel):
        return Findings()
    a, b = _operands(product)
    # Every round starts its sums anew, so that they stay exact in fp8 as well.
    expected = _MMA_STEPS * (a @ b)
    warpgroups = bench.sms * _MMA_THREADS // 128
    dtype = bench.torch.int32 if kind == "int8" else bench.torch.float32
    out = bench.launcher.zeros(warpgroups, product.m, product.n, dtype=dtype)
    tiles = fragments.tile_words(a, kind), fragments.tile_words(b.T, kind)
    launch, laps = _launch(bench, product, bench.sms, *tiles, _MMA_ROUNDS, out)
    launch()
    known = bench.torch.as_tensor(expected, device=out.device).to(dtype)
    expect(bool((out == known).all()), f"the product through {product.kernel}")
    flops = 2.0 * product.macs * _MMA_STEPS * _MMA_ROUNDS * warpgroups
    tflops = flops / bench.time_us(launch) / 1e6
    how = f"wgmma {_shape(product)}, operands in shared memory"
    return Findings((Figure(f"wgmma_tflops.{kind}", tflops, "TFLOPS", how, bench.clock_mhz(laps)),))


def _operands(product: Product) -> tuple[fragments.Matrix, fragments.Matrix]:
    a = fragments.random_matrix(product.m, product.k, seed=1)
    return a, fragments.random_matrix(product.k, product.n, seed=2)


def _launch(
    bench: ProbeBench, product: Product, grid: int, a: fragments.Words, b: fragments.Words, rounds: int, out: Any
) -> tuple[Any, Any]:
    """What runs the product's kernel, and its laps."""
    on_gpu = [bench.torch.as_tensor(words.view(np.int32), device=out.device) for words in (a, b)]
    laps = bench.launcher.zeros(2 * grid)

    def launch() -> None:
        bench.launcher.launch(product.kernel, grid, _MMA_THREADS, *on_gpu, np.uint32(rounds), out, laps)

    return launch, laps


def _shape(product: Product) -> str:
    return f"m{product.m}n{product.n}k{product.k}"
