"""The speed of light: what no implementation of the direct arithmetic can beat.

The floor of a layer is the largest of its arithmetic over the peak rate of the units that can run it, its
compulsory DRAM traffic over the DRAM's peak bandwidth, and its compulsory traffic over what the last-level
cache can deliver. It is a floor for *direct* arithmetic: Winograd and FFT algorithms do fewer
multiplications (up to 2.25 times fewer for a 3x3 filter in tiles of 4x4 with 2x2 outputs) and may pass
below it. Launching is not part of the floor: a fused or graph-launched kernel may hide it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention

Floats = NDArray[np.float64]

#: Flops per microsecond at one TFLOPS, and bytes per microsecond at one GB/s.
_FLOPS_PER_US_PER_TFLOP = 1e6
_BYTES_PER_US_PER_GBS = 1e3


def floor_us(layer: Layer, gpu: GpuSpec, dtype: DataType, l2_state: str = "warm") -> float:
    """The layer's speed of light in microseconds; 0 for a free or unknown layer.

    With a ``cold`` cache every compulsory byte crosses DRAM. With a ``warm`` one, what the last-level cache
    can hold may be there already, so only the excess has to.
    """
    return floors_us([layer], gpu, dtype, l2_state)[0]


def floors_us(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType, l2_state: str = "warm") -> list[float]:
    """:func:`floor_us` of each layer."""
    nothing = [layer.kind in (LayerKind.FREE, LayerKind.UNKNOWN) for layer in layers]
    flops = [0.0 if n else useful_flops(x) for x, n in zip(layers, nothing, strict=True)]
    moved = [0.0 if n else float(x.bytes(dtype)) for x, n in zip(layers, nothing, strict=True)]
    rates = _rates(layers, gpu, dtype)
    floors: list[float] = floors_of(np.array(flops), np.array(moved), np.array(rates), gpu, l2_state).tolist()
    return floors


def floors_of(flops: Floats, moved_bytes: Floats, peak_tflops: Floats | float, gpu: GpuSpec, l2_state: str) -> Floats:
    """Floors of many layers from their arithmetic and compulsory bytes; arrays of shape (P,)."""
    dram = moved_bytes if l2_state == "cold" else np.maximum(0.0, moved_bytes - gpu.l2.size_bytes)
    return np.maximum(
        np.maximum(flops / (peak_tflops * _FLOPS_PER_US_PER_TFLOP), dram / (gpu.dram_peak_gbs * _BYTES_PER_US_PER_GBS)),
        moved_bytes / (level_bandwidth_gbs(gpu) * _BYTES_PER_US_PER_GBS),
    )


def useful_flops(layer: Layer) -> float:
    """The layer's arithmetic; a causal attention is charged only for the scores that its mask keeps."""
    flops = float(layer.flops)
    if layer.kind is LayerKind.ATTENTION and isinstance(layer.work, Attention):
        flops *= layer.work.useful_macs / max(1, layer.work.macs)
    return flops


def arithmetics_us(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType) -> list[float]:
    """Each layer's arithmetic over the peak rate of the fastest unit that can run it."""
    rates = _rates(layers, gpu, dtype)
    return [useful_flops(x) / (rate * _FLOPS_PER_US_PER_TFLOP) for x, rate in zip(layers, rates, strict=True)]


def _rates(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType) -> list[float]:
    """The peak rate of the fastest unit that can run each layer, in TFLOPS."""
    of = {kind: gpu.peak_tflops(dtype, tensor=kind.computes_gemm) for kind in {layer.kind for layer in layers}}
    return [of[layer.kind] for layer in layers]


def dram_floor_bytes(total_bytes: float, gpu: GpuSpec, l2_state: str) -> float:
    """Bytes that must cross DRAM when a kernel touches ``total_bytes`` different bytes."""
    return total_bytes if l2_state == "cold" else max(0.0, total_bytes - gpu.l2.size_bytes)


def level_bandwidth_gbs(gpu: GpuSpec) -> float:
    """What the levels outside an SM deliver at most: the last-level cache, or DRAM where that is faster."""
    bandwidth: float = np.maximum(gpu.l2.bandwidth_gbs, gpu.dram_peak_gbs)
    return bandwidth


def graph_floor(
    graph: Graph, gpu: GpuSpec, dtype: DataType, l2_state: str = "warm", floors: Sequence[float] | None = None
) -> float:
    """The model's speed of light in microseconds.

    The largest of: all arithmetic over the peak rates of the units that can run it; the bytes that must
    cross DRAM (the model's constants, inputs and outputs; intermediates may stay on the chip) over its
    bandwidth; and the critical path of the layers' own ``floors``. Those default to :func:`floors_us`; whoever
    knows which layers can run as one kernel passes floors that count such a chain once.
    """
    arithmetic = sum(arithmetics_us(graph.layers, gpu, dtype))
    outside = graph.weight_bytes_read(dtype) + sum(t.bytes(dtype) for t in (*graph.inputs, *graph.outputs))
    dram = dram_floor_bytes(float(outside), gpu, l2_state) / (gpu.dram_peak_gbs * _BYTES_PER_US_PER_GBS)
    path, _ = graph.critical_path(floors_us(graph.layers, gpu, dtype, l2_state) if floors is None else floors)
    return max(arithmetic, dram, path)
