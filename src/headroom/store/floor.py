"""What no kernel is faster than: a chain's arithmetic and its bytes, at a GPU's peaks.

Generous on purpose, since it is there to refuse what cannot be: Winograd and FFT kernels multiply less, a causal mask
hides half, GPUs boost above their sheets. What was measured on an H200 took 1.1 times the bare figures or more, before
the margin (tests/store/test_floor.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import gt

from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention, Convolution, Pooling
from headroom.store.rows import System

#: How far a GPU may be above the peaks of its sheet.
MARGIN = 1.25

#: What transformed convolutions save of the products.
_TRANSFORMED = 10.0


@dataclass(frozen=True)
class Floor:
    """Microseconds, and what takes them: the end of a sentence."""

    us: float
    reason: str = ""


def floor_of(chain: Chain, dtype: DataType, system: System, l2: str) -> Floor:
    """Below what ``chain`` cannot run on ``system``'s GPU with its operands in a ``warm`` or ``cold`` L2 cache; 0 where
    that GPU has no sheet."""
    gpu = gpu_of_driver(system.gpu)
    if gpu is None:
        return Floor(0.0)
    bare = max((_arithmetic(chain, dtype, gpu), _memory(chain, dtype, gpu, l2)), key=lambda floor: floor.us)
    return Floor(bare.us / MARGIN, bare.reason)


def _arithmetic(chain: Chain, dtype: DataType, gpu: GpuSpec) -> Floor:
    if not gpu.supports(dtype):
        return Floor(0.0)
    flops = sum(_least_macs(chain, index) for index in range(len(chain.layers))) * 2
    return Floor(flops / (gpu.peak_tflops(dtype) * 1e6), "its arithmetic takes at this GPU's peak")


def _least_macs(chain: Chain, index: int) -> float:
    work = chain.layers[index].work
    if isinstance(work, Convolution) and not work.is_pointwise:
        return work.macs / _TRANSFORMED
    return float(getattr(work, "useful_macs", work.macs))


def _memory(chain: Chain, dtype: DataType, gpu: GpuSpec, l2: str) -> Floor:
    """From a cold cache every operand crosses DRAM, while the result may stay in the cache. Out of a warm one
    everything crosses the cache's own wires, where the sheet has their bandwidth from a source and not from a rule."""
    read = read_bytes(chain, dtype)
    if l2 == "cold":
        return Floor(read / (gpu.dram_peak_gbs * 1e3), "reading its operands from DRAM takes at this GPU's peak")
    if "l2_bandwidth_gbs" in gpu.derived:
        return Floor(0.0)
    moved = read + chain.layers[-1].bytes_written(dtype)
    bandwidth_gbs = max(gpu.l2.bandwidth_gbs, gpu.dram_peak_gbs)
    return Floor(moved / (bandwidth_gbs * 1e3), "moving its bytes through this GPU's L2 cache takes")


def read_bytes(chain: Chain, dtype: DataType) -> float:
    """Bytes from outside that ``chain`` cannot do without: each tensor once, less what a layer reads only in part."""
    outside = sum(tensor.bytes(dtype) for tensor in (*chain.inputs, *chain.weights))
    return max(0.0, outside - sum(_skipped_bytes(chain, index, dtype) for index in range(len(chain.layers))))


def _skipped_bytes(chain: Chain, index: int, dtype: DataType) -> float:
    layer = chain.layers[index]
    operands = sum(tensor.bytes(dtype) for tensor in (*layer.inputs, *layer.weights))
    work = layer.work
    # A window that steps over positions, and keys that a causal mask hides from every query.
    steps_over = isinstance(work, Pooling) and any(map(gt, work.stride, work.window))
    hides = isinstance(work, Attention) and work.causal and work.query_length != work.key_length
    return operands if steps_over or hides else operands - layer.bytes_read(dtype)
