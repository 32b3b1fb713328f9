"""Timing on this machine's GPU by replayed CUDA graphs, with weights that every launch finds in DRAM. Loads PyTorch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

import headroom as hr
from headroom.change.fission.formats.words import row_words
from headroom.change.fission.kernels.convolution_gpu import Operands, run_convolution
from headroom.change.fission.kernels.convolution_variants import ConvolutionVariant
from headroom.change.fission.kernels.convolutions import Convolution
from headroom.change.fission.kernels.gemm_gpu import GemmOperand, run_gemm
from headroom.change.fission.kernels.gemm_variants import GemmVariant, Side, Where
from headroom.change.fission.kernels.gpu import run_linear
from headroom.change.fission.kernels.sources import LinearVariant
from headroom.errors import GpuError

REPLAYS, LEAST_LAUNCHES, MOST_COPIES = 15, 12, 24
#: A launch that takes so long is alone in its graph, which is replayed fewer times.
LONG_US, LONG_REPLAYS = 500.0, 5
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
    began = time.perf_counter()
    launches[0]()
    torch.cuda.synchronize()
    long = 1e6 * (time.perf_counter() - began) > LONG_US
    rounds = 1 if long else -(-LEAST_LAUNCHES // len(launches))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(rounds):
            for launch in launches:
                launch()
    times = []
    for _ in range((LONG_REPLAYS if long else REPLAYS) + 3):
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


def convolution_times(layer: Convolution, variants: Sequence[ConvolutionVariant]) -> dict[str, Any]:
    """A strict-fp32 convolution with bias and ReLU: the fastest tile and number of parts of K, and all of them.

    Without variants PyTorch's, by the fastest cuDNN algorithm that its own search finds, in the faster layout. Operands
    are random bits of their formats: no time here depends on what they mean.
    """
    torch.backends.cudnn.allow_tf32 = False
    if not variants:
        return _library_convolution(layer)
    every, rejected = {}, ""
    outputs = torch.empty(layer.batch, *layer.size_out, layer.outputs, device="cuda")
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    for variant in variants:
        operands = _random_operands(layer, variant)
        for parts in sorted({1, layer.usual_parts(variant, sms)}):
            launch = partial(run_convolution, layer, variant, operands, outputs, relu=True, parts=parts)
            try:
                every[f"tile {variant.tile_n}, parts {parts}"] = median_us([launch])
            except GpuError as error:
                rejected = str(error)
    if not every:
        return {"time_us": None, "why": rejected}
    best = min(every, key=lambda name: every[name]["time_us"])
    return {**every[best], "shape": best, "shapes": {name: found["time_us"] for name, found in every.items()}}


def _library_convolution(layer: Convolution) -> dict[str, Any]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    window = layer.window
    module = torch.nn.Conv2d(
        *(layer.channels, layer.outputs, window, layer.stride, layer.padding, layer.dilation, layer.groups)
    ).cuda()
    every = {}
    try:
        with torch.no_grad():
            for name, order in (("NCHW", torch.contiguous_format), ("NHWC", torch.channels_last)):
                images = torch.randn(layer.batch, layer.channels, *layer.size, device="cuda").contiguous(
                    memory_format=order
                )
                module = module.to(memory_format=order)
                every[name] = median_us([partial(_relu_of, module, images)])
    finally:
        torch.backends.cudnn.benchmark = before
    best = min(every, key=lambda name: every[name]["time_us"])
    return {**every[best], "shape": best, "shapes": {name: found["time_us"] for name, found in every.items()}}


def _relu_of(module: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    return torch.relu_(module(images))


def _random_operands(layer: Convolution, variant: ConvolutionVariant) -> Operands:
    channels = layer.padded_channels(variant.load_values)
    image = _random_rows(layer.batch, layer.size[0] * layer.size[1] * layer.groups * channels, variant.left)
    weight = _random_rows(layer.outputs, layer.k(variant.load_values), variant.right)
    table = torch.from_numpy(layer.table(variant).view("int32")).cuda()
    ends = [torch.ones(rows, device="cuda") for rows in (layer.batch, layer.outputs)]
    scaled = [end if side.bits == 8 else None for end, side in zip(ends, (variant.left, variant.right), strict=True)]
    return Operands(image, image.shape[1], table, weight, *scaled, torch.zeros(layer.outputs, device="cuda"))


def _random_rows(rows: int, count: int, side: Side) -> torch.Tensor:
    """Packed rows: random values of 32 or 16 bits, random bytes of 8."""
    if side.bits == 32 or side.where is Where.FUSED:
        return torch.randn(rows, row_words(count, 32), device="cuda")
    words = row_words(count, side.bits)
    if side.bits == 16:
        dtype = torch.float16 if side.form == "half" else torch.bfloat16
        return torch.randn(rows, 2 * words, device="cuda", dtype=dtype).view(torch.int32)
    return torch.randint(0, 256, (rows, 4 * words), device="cuda", dtype=torch.uint8).view(torch.int32)


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
