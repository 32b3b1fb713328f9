"""What half the columns can gain at best: the dense layer's prediction beside the bound of our kernel.

    python benchmarks/synapse_bounds.py

Needs no GPU; writes ``docs/synapse-kernel-bounds.md``. The bound of a gathered layer is its launch and the longer of

- the multiply-adds of the SM that has the most tiles, at the share of its peak rate that our instructions reach, for
  the best of our tiles and cuts of K (a cut costs a launch more);
- its bytes at the bandwidth of where they lie: DRAM for what exceeds the L2 cache, the L2 cache else.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from headroom.change.synapses.kernels.geometry import Layer
from headroom.change.synapses.kernels.variants import GEMV_ROWS, Arithmetic, Gather, gathers
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.model import predict_layers
from record import ROOT
from synapse_kernels import BATCHES, DTYPES, SHARE
from synapse_layers import LAYERS, PaperLayer

GPU = "h200"
#: Of the tensor cores' rate, mma.sync reaches so much on Hopper, whose own wgmma alone reaches all of it.
TENSOR_SHARE = 0.62
#: Per 256 multiply-adds a warp issues 16 loads from shared memory and, a step of K apart, copies: see plain.cuh.
PLAIN_SHARE = 256 / (256 + 16 + 12)
BYTES = {DataType.FP32: 4, DataType.TF32: 4, DataType.BF16: 2}


@dataclass(frozen=True)
class Row:
    """One layer: the dense one's predicted time and the bounds of ours with half the columns, in microseconds."""

    layer: PaperLayer
    batch: int
    dtype: DataType
    dense_us: float
    launch_us: float
    work_us: float
    bytes_us: float

    @property
    def column_us(self) -> float:
        return self.launch_us + max(self.work_us, self.bytes_us)

    @property
    def best_case(self) -> float:
        """The speedup that no kernel of this kind passes, if the dense prediction holds."""
        return self.dense_us / self.column_us


def rows_of(layers: Sequence[PaperLayer], batches: Sequence[int], dtypes: Sequence[DataType]) -> list[Row]:
    gpu, rows = load_gpu(GPU), []
    for dtype in dtypes:
        asked = [(layer, batch) for layer in layers for batch in batches]
        dense = predict_layers([layer.chain(batch).anchor for layer, batch in asked], gpu, dtype)
        for (layer, batch), prediction in zip(asked, dense, strict=True):
            assert prediction.time_us is not None
            rows.append(Row(layer, batch, dtype, prediction.time_us, *bounds_us(layer, batch, dtype, gpu)))
    return rows


def bounds_us(layer: PaperLayer, batch: int, dtype: DataType, gpu: GpuSpec) -> tuple[float, float, float]:
    """Of half the columns: the launch, the time of the busiest SM's multiply-adds, and that of the bytes."""
    arithmetic = Arithmetic(str(dtype))
    plain = arithmetic is Arithmetic.FP32
    tflops = gpu.plain_tflops[dtype] * PLAIN_SHARE if plain else gpu.tensor_tflops[dtype] * TENSOR_SHARE
    steps = -(-round(SHARE * layer.columns) // arithmetic.per_step)
    sides, window, stride = (layer.size,) * 2, (layer.kernel,) * 2, (layer.stride,) * 2
    geometry = Layer(batch, layer.channels, sides, layer.outputs, window, stride, (layer.padding,) * 4)
    work_us = min(
        -(-prod(geometry.grid(each, parts)) // gpu.sms)
        * tile_macs(each, -(-steps // parts))
        * 2
        * gpu.sms
        / (tflops * 1e6)
        + (gpu.launch_us if parts > 1 else 0)
        for each in gathers(arithmetic)
        for parts in {1, geometry.parts(each, steps, gpu.sms)}
    )
    if layer.linear and batch <= GEMV_ROWS[-1]:
        # The kernel of few rows has no tiles: its multiply-adds are those of the layer, on the plain units.
        least_us = 2 * layer.chain(batch).macs * SHARE / (gpu.plain_tflops[DataType.FP32] * PLAIN_SHARE * 1e6)
        work_us = min(work_us, least_us)
    read = batch * layer.channels * layer.size**2
    # Bias and table are a thousandth of it.
    moved = BYTES[dtype] * (read + SHARE * layer.columns * layer.outputs + batch * layer.outputs * layer.size_out**2)
    place = gpu.dram if moved > gpu.l2.size_bytes else gpu.l2
    return gpu.launch_us, work_us, moved / (place.bandwidth_gbs * 1e3)


def tile_macs(variant: Gather, steps: int) -> int:
    return variant.tile.m * variant.tile.n * steps * variant.arithmetic.per_step


def page(rows: Sequence[Row]) -> str:
    lines = [
        "# What half the columns can gain",
        "",
        "Written by `benchmarks/synapse_bounds.py`; no measurement is in it. Dense: the time that `headroom predict`",
        f"gives the layer on an H200. Bound: what our kernel with {SHARE:.0%} of the columns cannot pass: a launch",
        f"({load_gpu(GPU).launch_us:g} us), and the longer of the busiest SM's multiply-adds, at {TENSOR_SHARE:.0%}",
        f"of its tensor cores' rate (mma.sync) or {PLAIN_SHARE:.0%} of its plain units', and the layer's bytes.",
        "Latencies come on top: where the bound is hardly more than a launch, there is nothing to win. Where the",
        "fastest dense algorithm is Winograd's or FFT (strict fp32), half the columns may not pay: cases below 1.",
        "",
        *summary(rows),
        "",
        "| network | layer | batch | type | dense us | bound us | bound by | best case |",
        "|---|---|---:|---|---:|---:|---|---:|",
    ]
    lines += [
        f"| {row.layer.network} | {row.layer.name} | {row.batch} | {row.dtype} | {row.dense_us:.1f} "
        f"| {row.column_us:.1f} | {'work' if row.work_us > row.bytes_us else 'bytes'} | {row.best_case:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def summary(rows: Sequence[Row]) -> list[str]:
    """Whole networks: the sums over their layers."""
    lines = [
        "| network | batch | type | dense us | bounds us | best case | least among layers above 10 us |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    groups: dict[tuple[str, int, DataType], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.layer.network, row.batch, row.dtype), []).append(row)
    for (network, batch, dtype), group in groups.items():
        dense, bound = (sum(times) for times in zip(*((row.dense_us, row.column_us) for row in group), strict=True))
        long = [row.best_case for row in group if row.dense_us > 10]
        least = f"{min(long):.2f}" if long else "-"
        lines.append(f"| {network} | {batch} | {dtype} | {dense:.0f} | {bound:.0f} | {dense / bound:.2f} | {least} |")
    return lines


def main() -> None:
    rows = rows_of(LAYERS, BATCHES, DTYPES)
    (ROOT / "docs" / "synapse-kernel-bounds.md").write_text(page(rows), "utf-8")
    for dtype in DTYPES:
        long = [row.best_case for row in rows if row.dtype is dtype and row.dense_us > 10]
        print(dtype, f"{len(long)} layers above 10 us, geometric mean {statistics.geometric_mean(long):.2f}")


if __name__ == "__main__":
    main()
