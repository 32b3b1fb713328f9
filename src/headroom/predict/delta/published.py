"""The paper's own GPUs: Table I, and the design options of its scaling study (Fig. 16a).

For the paper's figures only. A product's sheet is in :mod:`headroom.gpu.sheets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec, MemoryLevel
from headroom.graph.tensor import DataType
from headroom.predict.delta.tiles import PAPER_TILES, TileTable


@dataclass(frozen=True, slots=True)
class TableOneRow:
    """One column of Table I. ``l1_gbs_per_sm`` is per SM, ``l2_gbs`` and ``dram_gbs`` are of the whole GPU."""

    sheet: str
    sms: int
    clock_ghz: float
    gflops: float
    registers_kb: int
    shared_kb: int
    l1_gbs_per_sm: float
    l2_gbs: float
    dram_gbs: float
    l2_mb: int


#: Table I as printed. Its V100 has 84 SMs, the full chip; boards were sold with 80.
TABLE_ONE: Mapping[str, TableOneRow] = {
    "TITAN Xp": TableOneRow("titan-xp", 30, 1.58, 12134, 256, 96, 92, 1051, 450, 3),
    "P100": TableOneRow("p100-pcie", 56, 1.2, 8602, 256, 64, 38.1, 1382, 550, 4),
    "V100": TableOneRow("v100-pcie-16gb", 84, 1.38, 14837, 256, 94, 94.1, 2167, 850, 6),
}

#: Bytes that the 32 banks of shared memory deliver per cycle and SM; Table I has no BW_SMEM.
SHARED_BYTES_PER_CYCLE = 128


def table_one_gpu(name: str) -> GpuSpec:
    """A GPU of Table I: its figures, and the sheet's where the table has none (latencies above all)."""
    row = TABLE_ONE[name]
    sheet = load_gpu(row.sheet)
    shared_gbs = SHARED_BYTES_PER_CYCLE * row.clock_ghz * row.sms
    return replace(
        sheet,
        id=f"{row.sheet}-table-1",
        name=name,
        sms=row.sms,
        clock_mhz=row.clock_ghz * 1e3,
        plain_tflops={**sheet.plain_tflops, DataType.FP32: row.gflops / 1e3},
        registers_per_sm=row.registers_kb * 1024 // 4,
        shared_bytes_per_sm=row.shared_kb * 1024,
        l1=replace(sheet.l1, bandwidth_gbs=row.l1_gbs_per_sm * row.sms),
        l2=replace(sheet.l2, bandwidth_gbs=row.l2_gbs, size_bytes=row.l2_mb * 2**20),
        dram=replace(sheet.dram, bandwidth_gbs=row.dram_gbs),
        shared=replace(sheet.shared, bandwidth_gbs=shared_gbs),
    )


@dataclass(frozen=True, slots=True)
class DesignOption:
    """One column of Fig. 16a: factors on the TITAN Xp's resources; "per SM" where the figure says so."""

    name: str
    sms: float
    mac_per_sm: float
    registers_per_sm: float
    shared_size_per_sm: float
    shared_rate_per_sm: float
    l1_rate_per_sm: float
    l2_rate: float
    dram_rate: float
    tile: int

    @property
    def tiles(self) -> TileTable:
        """The tile table whose widest tile is ``tile`` high and wide."""
        return PAPER_TILES.scaled(self.tile // PAPER_TILES.tiles[0][0])


#: Fig. 16a as printed.
DESIGN_OPTIONS = (
    DesignOption("TITAN Xp", 1, 1, 1, 1, 1, 1, 1, 1, 128),
    DesignOption("1", 2, 1, 1, 1, 1, 1, 1.5, 1.5, 128),
    DesignOption("2", 4, 1, 1, 1, 1, 1, 2, 2, 128),
    DesignOption("3", 1, 2, 1, 1, 1, 1, 1, 1, 128),
    DesignOption("4", 1, 4, 1, 1, 1, 1, 1, 1, 128),
    DesignOption("5", 1, 4, 2, 2, 2, 1.5, 1.5, 1.5, 128),
    DesignOption("6", 1, 6, 2, 2, 2, 2, 1.5, 2, 128),
    DesignOption("7", 1, 8, 3, 3, 3, 2, 2, 2, 256),
    DesignOption("8", 2, 4, 2, 2, 2, 2, 2, 2, 256),
    DesignOption("9", 1, 8, 3, 3, 3, 2, 2, 3, 256),
)


def scaled_gpu(gpu: GpuSpec, option: DesignOption) -> GpuSpec:
    """``gpu`` with its resources multiplied as ``option`` says; latencies stay."""
    sms = option.sms
    return replace(
        gpu,
        id=f"{gpu.id}-option-{option.name}",
        sms=round(gpu.sms * sms),
        plain_tflops={kind: rate * sms * option.mac_per_sm for kind, rate in gpu.plain_tflops.items()},
        registers_per_sm=round(gpu.registers_per_sm * option.registers_per_sm),
        shared_bytes_per_sm=round(gpu.shared_bytes_per_sm * option.shared_size_per_sm),
        shared=_faster(gpu.shared, sms * option.shared_rate_per_sm),
        l1=_faster(gpu.l1, sms * option.l1_rate_per_sm),
        l2=_faster(gpu.l2, option.l2_rate),
        dram=_faster(gpu.dram, option.dram_rate),
    )


def _faster(level: MemoryLevel, factor: float) -> MemoryLevel:
    return replace(level, bandwidth_gbs=level.bandwidth_gbs * factor)
