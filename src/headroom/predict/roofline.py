"""The speed of light: what no implementation of the direct arithmetic can beat.

The floor of a layer is the largest of its arithmetic over the peak rate of the units that can run it, its
compulsory DRAM traffic over the DRAM's peak bandwidth, and its compulsory traffic over what the last-level
cache can deliver. It is a floor for *direct* arithmetic: Winograd and FFT algorithms do fewer
multiplications (up to 2.25 times fewer for a 3x3 filter in tiles of 4x4 with 2x2 outputs) and may pass
below it. Launching is not part of the floor: a fused or graph-launched kernel may hide it.
"""

from __future__ import annotations

from collections.abc import Sequence

from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention

#: Flops per second in one flop per microsecond and teraflop, and bytes per microsecond in a GB/s.
_FLOPS_PER_US_PER_TFLOP = 1e6
_BYTES_PER_US_PER_GBS = 1e3


def floor_us(layer: Layer, gpu: GpuSpec, dtype: DataType, l2_state: str = "warm") -> float:
    """The layer's speed of light in microseconds; 0 for a free or unknown layer.

    With a ``cold`` cache every compulsory byte crosses DRAM. With a ``warm`` one, what the last-level cache
    can hold may be there already, so only the excess has to.
    """
    if layer.kind in (LayerKind.FREE, LayerKind.UNKNOWN):
        return 0.0
    total = float(layer.bytes(dtype))
    dram = dram_floor_bytes(total, gpu, l2_state)
    return max(
        arithmetic_us(layer, gpu, dtype),
        dram / (gpu.dram_peak_gbs * _BYTES_PER_US_PER_GBS),
        total / (level_bandwidth_gbs(gpu) * _BYTES_PER_US_PER_GBS),
    )


def floors_us(layers: Sequence[Layer], gpu: GpuSpec, dtype: DataType, l2_state: str = "warm") -> list[float]:
    """:func:`floor_us` of each layer."""
    return [floor_us(layer, gpu, dtype, l2_state) for layer in layers]


def arithmetic_us(layer: Layer, gpu: GpuSpec, dtype: DataType) -> float:
    """The layer's arithmetic over the peak rate of the fastest unit that can run it.

    A causal attention is charged only for the scores that its mask keeps.
    """
    flops = float(layer.flops)
    if isinstance(layer.work, Attention):
        flops *= layer.work.useful_macs / max(1, layer.work.macs)
    rate = gpu.peak_tflops(dtype, tensor=layer.kind.computes_gemm)
    return flops / (rate * _FLOPS_PER_US_PER_TFLOP)


def dram_floor_bytes(total_bytes: float, gpu: GpuSpec, l2_state: str) -> float:
    """Bytes that must cross DRAM when a kernel touches ``total_bytes`` different bytes."""
    return total_bytes if l2_state == "cold" else max(0.0, total_bytes - gpu.l2.size_bytes)


def level_bandwidth_gbs(gpu: GpuSpec) -> float:
    """What the levels outside an SM deliver at most: the last-level cache, or DRAM where that is faster."""
    return max(gpu.l2.bandwidth_gbs, gpu.dram_peak_gbs)


def graph_floor(graph: Graph, gpu: GpuSpec, dtype: DataType, l2_state: str = "warm") -> float:
    """The model's speed of light in microseconds.

    The largest of: all arithmetic over the peak rates of the units that can run it; the bytes that must
    cross DRAM (the model's constants, inputs and outputs; intermediates may stay on the chip) over its
    bandwidth; and the critical path of the layers' own arithmetic. The path leaves out the layers' memory
    terms because a fused implementation need not write what it hands on.
    """
    arithmetic = [
        0.0 if layer.kind in (LayerKind.FREE, LayerKind.UNKNOWN) else arithmetic_us(layer, gpu, dtype)
        for layer in graph.layers
    ]
    outside = graph.weight_bytes(dtype) + sum(t.bytes(dtype) for t in (*graph.inputs, *graph.outputs))
    dram = dram_floor_bytes(float(outside), gpu, l2_state) / (gpu.dram_peak_gbs * _BYTES_PER_US_PER_GBS)
    return max(sum(arithmetic), dram, graph.critical_path(arithmetic)[0])
