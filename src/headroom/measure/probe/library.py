"""The rate of a large matrix product as cuBLAS runs it through PyTorch.

It is a library's figure, not the unit's: kept beside our own, and taken for the GPU's rate where no kernel of ours
reaches it (Blackwell's tensor memory, which ``mma.sync`` does not use).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headroom.measure.probe.bench import ProbeBench, expect
from headroom.measure.probe.result import Figure, Findings

#: M, N and K: large enough that launch, fill and drain are lost in the time.
_SIZE = 8192

#: Rows of the product that are checked against fp64.
_CHECKED_ROWS = 16

#: A result in bf16 has 8 bits; sums are of whole numbers, so that nothing else is rounded.
_ROUNDING = 2.0**-8

#: About the largest sums that occur: partial sums of that size may be rounded before they are added.
_LARGEST_SUM = 1024.0


def gemm(bench: ProbeBench, kind: str) -> Findings:
    """Products of matrices of whole numbers from -2 to 2; nothing where PyTorch or the GPU lacks ``kind``."""
    run = _product(bench, kind)
    if run is None:
        return Findings()
    torch = bench.torch
    generator = torch.Generator(bench.launcher.device).manual_seed(1)
    shape = (_SIZE, _SIZE)
    a, b = (
        torch.randint(-2, 3, shape, device=bench.launcher.device, generator=generator, dtype=torch.int8)
        for _ in range(2)
    )
    multiply = run(a, b)
    found = multiply()[:_CHECKED_ROWS].double()
    expected = a[:_CHECKED_ROWS].double() @ b.double().T
    allowed = _ROUNDING * expected.abs().clamp(min=_LARGEST_SUM)
    expect(bool(((found - expected).abs() <= allowed).all()), f"the library's product in {kind}")
    tflops = 2.0 * _SIZE**3 / bench.time_us(multiply) / 1e6
    how = f"cuBLAS through PyTorch, {_SIZE} x {_SIZE} x {_SIZE}"
    return Findings((Figure(f"library_tflops.{kind}", tflops, "TFLOPS", how),))


def _product(bench: ProbeBench, kind: str) -> Callable[[Any, Any], Callable[[], Any]] | None:
    """What prepares the product of A and B-transposed, given as whole numbers, and returns what runs it."""
    torch = bench.torch
    if kind == "int8":
        return (lambda a, b: lambda: torch._int_mm(a, b.T)) if bench.launcher.capability >= (8, 0) else None
    if kind == "fp8":
        return _fp8 if bench.launcher.capability >= (8, 9) else None
    if kind in ("bf16", "tf32") and bench.launcher.capability < (8, 0):
        return None
    dtype = {"tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[kind]

    def prepare(a: Any, b: Any) -> Callable[[], Any]:
        torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
        left, right = a.to(dtype), b.to(dtype).T
        return lambda: torch.mm(left, right)

    return prepare


def _fp8(a: Any, b: Any) -> Callable[[], Any]:
    import torch

    left, right = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).T
    one = torch.ones((), device=a.device)
    return lambda: torch._scaled_mm(left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
