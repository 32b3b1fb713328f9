"""Timing on this machine's GPU by replayed CUDA graphs, with weights that every launch finds in DRAM. Loads PyTorch."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

import headroom as hr
from headroom.change.fission.kernels.gemm_gpu import GemmOperand, run_gemm
from headroom.change.fission.kernels.gemm_variants import GemmVariant
from headroom.change.fission.kernels.gpu import run_linear
from headroom.change.fission.kernels.sources import LinearVariant

REPLAYS, LEAST_LAUNCHES, MOST_COPIES = 15, 12, 24
#: Copies together exceed every L2 by far.
ROTATED_BYTES = 400e6
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

Launch = Callable[[], Any]


def system_name() -> str:
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, torch {torch.__version__}, CUDA {torch.version.cuda}"


def median_us(launches: Sequence[Launch]) -> dict[str, Any]:
    """Microseconds of one launch: all of them in a graph, taken in turn, replayed."""
    for launch in launches:
        launch()
    torch.cuda.synchronize()
    rounds = -(-LEAST_LAUNCHES // len(launches))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(rounds):
            for launch in launches:
                launch()
    times = []
    for _ in range(REPLAYS + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(1e3 * start.elapsed_time(end) / (rounds * len(launches)))
    kept = times[3:]
    quarter = statistics.quantiles(kept, n=4)
    return {"time_us": statistics.median(kept), "iqr_us": quarter[2] - quarter[0], "samples": len(kept)}


def product_time(variant: GemmVariant | None, m: int, n: int, k: int) -> dict[str, Any]:
    """A strict-fp32 product; ``None`` is cuBLAS with TF32 off."""
    torch.backends.cuda.matmul.allow_tf32 = False
    draw = torch.Generator(device="cuda").manual_seed(0)
    left, right = (torch.randn(rows, k, device="cuda", generator=draw) for rows in (m, n))
    outputs = torch.empty(m, n, device="cuda")
    if variant is None:
        return median_us([lambda: torch.mm(left, right.T, out=outputs)])
    a, b = GemmOperand(left, variant.left), GemmOperand(right, variant.right)
    return median_us([lambda: run_gemm(variant, a, b, outputs)])


def linear_times(how: str, dtype: str, batch: int, n: int, k: int, shapes: Sequence[LinearVariant]) -> dict[str, Any]:
    """A linear layer as the library has it, or packed: the fastest shape of the kernel, and all of them."""
    inputs = torch.randn(batch, k, device="cuda", dtype=DTYPES[dtype])
    dense = torch.nn.Linear(k, n, device="cuda", dtype=DTYPES[dtype])
    if not shapes:
        return _library(how, dense, inputs)
    packed = hr.PackedLinear.from_float(dense, how)
    layers = [packed, *_copies(packed, packed.packed_bytes)]
    every = {}
    for shape in shapes:
        launches = [lambda layer=layer, shape=shape: run_linear(layer, inputs, shape) for layer in layers]
        every[f"rows {shape.rows}, split {shape.split}"] = median_us(launches)
    best = min(every, key=lambda name: every[name]["time_us"])
    return {**every[best], "shape": best, "shapes": {name: found["time_us"] for name, found in every.items()}}


def _library(how: str, dense: torch.nn.Linear, inputs: torch.Tensor) -> dict[str, Any]:
    try:
        if how == "fp8 matmul":
            return _fp8(dense, inputs)
        layers = [dense, *_copies(dense, dense.weight.numel() * dense.weight.element_size())]
        if how.startswith("torchao"):
            layers = [_torchao(how, layer) for layer in layers]
        return median_us([lambda layer=layer: layer(inputs) for layer in layers])
    except Exception as error:  # noqa: BLE001 - a library that is missing or refuses is a row with its reason
        return {"time_us": None, "why": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def _torchao(how: str, layer: torch.nn.Linear) -> Callable[[torch.Tensor], torch.Tensor]:
    from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    config = (
        Int8WeightOnlyConfig()
        if how.endswith("int8")
        else Int4WeightOnlyConfig(int4_packing_format="tile_packed_to_4d")
    )
    holder = torch.nn.Sequential(layer)
    quantize_(holder, config)
    return torch.compile(holder, dynamic=False)


def _fp8(dense: torch.nn.Linear, inputs: torch.Tensor) -> dict[str, Any]:
    weights = [dense.weight.detach().to(torch.float8_e4m3fn)]
    weights += [weights[0].clone() for _ in range(_number(weights[0].numel()) - 1)]
    # The product wants multiples of 16 rows.
    rows = torch.zeros(16, inputs.shape[1], device="cuda", dtype=torch.bfloat16)
    rows[: len(inputs)] = inputs
    activations, one = rows.to(torch.float8_e4m3fn), torch.ones((), device="cuda")
    return median_us(
        [
            lambda weight=weight: torch._scaled_mm(activations, weight.T, one, one, out_dtype=torch.bfloat16)
            for weight in weights
        ]
    )


def _copies(layer: torch.nn.Module, size: int) -> list[torch.nn.Module]:
    import copy

    return [copy.deepcopy(layer) for _ in range(_number(size) - 1)]


def _number(size: int) -> int:
    return int(min(MOST_COPIES, max(1, -(-ROTATED_BYTES // max(1, size)))))
