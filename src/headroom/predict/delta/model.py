"""DeLTA from end to end: layers and a GPU in, traffic, time and bottleneck out."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.delta.machine import Machine
from headroom.predict.delta.occupancy import active_ctas
from headroom.predict.delta.reading import PAPER, Reading
from headroom.predict.delta.shapes import Array, ConvBatch
from headroom.predict.delta.tiles import PAPER_TILES, TileBatch, TileTable
from headroom.predict.delta.time import CANDIDATES, Times, times
from headroom.predict.delta.traffic import Grid, Traffic, grid, traffic
from headroom.predict.prediction import Bottleneck


@dataclass(frozen=True, slots=True)
class Estimate:
    """The model's answer for many layers; arrays have one entry per layer."""

    convs: ConvBatch
    tiles: TileBatch
    grid: Grid
    traffic: Traffic
    times: Times
    machine: Machine

    def __len__(self) -> int:
        return len(self.convs)

    @property
    def time_us(self) -> Array:
        return self.times.total_ns / 1e3

    @property
    def bottlenecks(self) -> tuple[Bottleneck, ...]:
        return tuple(CANDIDATES[index] for index in self.times.limit)

    @property
    def waves(self) -> Array:
        """CTAs over those that the whole GPU holds at once, a fraction."""
        return self.grid.ctas / (self.machine.sms * self.occupancy)

    @property
    def occupancy(self) -> Array:
        """Num_ACT_CTA that would fit on an SM, however few there are."""
        return _occupancy(self.convs, self.tiles, self.machine)

    @property
    def tail_utilization(self) -> Array:
        """Mean share of SMs that are busy until the SM with most CTAs is done."""
        return self.grid.ctas / (self.machine.sms * self.times.ctas_per_sm)


def estimate(
    convs: ConvBatch,
    gpu: GpuSpec,
    dtype: DataType = DataType.FP32,
    *,
    tiles: TileBatch | TileTable = PAPER_TILES,
    reading: Reading = PAPER,
) -> Estimate:
    """Traffic, time and bottleneck of every layer on ``gpu``.

    Each layer's figures depend on that layer alone, to the last bit: in bulk or one by one they are the same.
    """
    machine = Machine.of(gpu, dtype)
    chosen = tiles.choose(convs.gemm_n) if isinstance(tiles, TileTable) else tiles
    cut = grid(convs, chosen)
    moved = traffic(convs, chosen, cut, machine.l1_request_bytes, reading)
    active = _occupancy(convs, chosen, machine)
    took = times(chosen, cut, moved, convs.bytes_per_element, active, machine, reading)
    return Estimate(convs, chosen, cut, moved, took, machine)


def _occupancy(convs: ConvBatch, tiles: TileBatch, machine: Machine) -> Array:
    return active_ctas(
        tiles,
        convs.bytes_per_element,
        registers_per_sm=machine.registers_per_sm,
        shared_bytes_per_sm=machine.shared_bytes_per_sm,
        max_warps_per_sm=machine.max_warps_per_sm,
        max_ctas_per_sm=machine.max_ctas_per_sm,
    )
