"""What packed weights can give at most: issue slots, pipes, shared memory, L2 and DRAM of a kernel that splits them.

Counts are instructions of one lane per unpacked value, read off the machine code that NVRTC 13 makes for sm_90. Every
SM issues four warps' instructions a clock; simple integer instructions (shifts, masks, permutations) have a pipe of
half that width, fp32 arithmetic one whose width follows from the sheet's rate. A multiply-add takes a slot too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType

#: Lanes that an SM issues instructions for, and that its integer pipe takes, each clock (7.5 to 9.0).
ISSUE_LANES, ALU_LANES = 128.0, 64.0


@dataclass(frozen=True, slots=True)
class Unpacking:
    """Splitting one value: ``bits`` in memory, instructions for the integer pipe and for the fp32 pipe."""

    bits: int
    alu: float = 0.0
    fma: float = 0.0

    @property
    def instructions(self) -> float:
        return self.alu + self.fma


#: By the format's name, without its group. A shift up is a multiplication on the fp32 pipe; the conversion of halves
#: runs there too (HADD2.F32), unlike on the paper's GPU.
UNPACKING: Mapping[str, Unpacking] = {
    "fp32": Unpacking(32),
    "half": Unpacking(16, fma=1.0),
    "deft16": Unpacking(16, alu=0.5, fma=0.5),
    "deft16q": Unpacking(16, fma=0.5),
    **{f"deft8e{bits}_paper": Unpacking(8, alu=3.0, fma=0.75) for bits in range(1, 8)},
    **{f"deft8e{bits}": Unpacking(8, alu=4.0, fma=0.75) for bits in range(1, 8)},
    "fp8_e4m3": Unpacking(8, alu=2.0, fma=1.75),
    "fp8_e5m2": Unpacking(8, alu=2.0, fma=1.75),
    "int8": Unpacking(8, alu=1.0, fma=1.0),
    "int4": Unpacking(4, alu=1.9, fma=1.0),
    # What the paper's unit would take: one instruction of the fp32 units for two values, or for four.
    "deft16_unit": Unpacking(16, fma=0.5),
    "deft8_unit": Unpacking(8, fma=0.25),
}


def unpacking_of(format_name: str) -> Unpacking:
    """The costs of a format; those with groups of scales cost what the codes cost."""
    return UNPACKING[format_name.split("_g")[0]]


@dataclass(frozen=True, slots=True)
class SlotBound:
    """Least microseconds by each resource; a kernel that overlaps them all takes the longest."""

    fma_us: float
    alu_us: float
    issue_us: float
    shared_us: float
    l2_us: float
    dram_us: float

    @property
    def time_us(self) -> float:
        return max(float(getattr(self, field.name)) for field in fields(self))

    @property
    def limit(self) -> str:
        """The resource that takes longest: ``fma``, ``alu``, ``issue``, ``shared``, ``l2`` or ``dram``."""
        return max(fields(self), key=lambda field: float(getattr(self, field.name))).name.removesuffix("_us")


def linear_bound(
    gpu: GpuSpec,
    form: Unpacking,
    *,
    outputs: int,
    k: int,
    samples: int,
    activation_bits: int = 32,
    group: int | None = None,
    rows: int = 2,
    cold: bool = True,
) -> SlotBound:
    """The small-batch kernel: every weight is split once and met by ``samples`` inputs.

    Args:
        group: weights that share an fp32 scale.
        rows: outputs of a warp, which share the inputs they read from shared memory.
        cold: whether all weights cross DRAM; else what the L2 does not hold.
    """
    weights = float(outputs * k)
    moved = weights * form.bits / 8 + (4.0 * weights / group if group else 0.0)
    moved += samples * (k + outputs) * activation_bits / 8
    return _bound(
        gpu,
        fma=weights * (samples + form.fma),
        alu=weights * form.alu,
        shared_bytes=4.0 * samples * weights / rows,
        l2_bytes=moved,
        dram_bytes=moved if cold else max(0.0, moved - gpu.l2.size_bytes),
    )


def gemm_bound(
    gpu: GpuSpec,
    left: Unpacking,
    right: Unpacking,
    *,
    m: int,
    n: int,
    k: int,
    cta: tuple[int, int] = (128, 128),
    thread: tuple[int, int] = (8, 8),
    warp: tuple[int, int] = (4, 8),
    near: bool = True,
) -> SlotBound:
    """The strict-fp32 product (m x k)(k x n) of CTA tiles ``cta`` and tiles of ``thread`` per thread.

    Args:
        left, right: what the operands are packed as.
        warp: how a warp's lanes lie: lanes of a row read the same of ``left``.
        near: split behind shared memory (the paper's), so that it is read packed and every thread splits what it reads;
            else split once on the way into it.
    """
    ctas = -(-m // cta[0]) * -(-n // cta[1])
    macs = float(ctas * cta[0] * cta[1]) * k
    from_left, from_right = macs / thread[1], macs / thread[0]
    if not near:
        from_left, from_right = macs / cta[1], macs / cta[0]
    bits = (left.bits, right.bits) if near else (32, 32)
    shared = macs / (thread[1] * warp[1]) * bits[0] / 8 + macs / (thread[0] * warp[0]) * bits[1] / 8
    loads = macs / cta[1] * left.bits / 8 + macs / cta[0] * right.bits / 8 + 4.0 * m * n
    once = m * k * left.bits / 8 + k * n * right.bits / 8 + 4.0 * m * n
    return _bound(
        gpu,
        fma=macs + from_left * left.fma + from_right * right.fma,
        alu=from_left * left.alu + from_right * right.alu,
        shared_bytes=shared,
        l2_bytes=loads,
        dram_bytes=once,
    )


def convolution_bound(
    gpu: GpuSpec,
    left: Unpacking,
    right: Unpacking,
    *,
    pixels: int,
    outputs: int,
    k: int,
    image_values: int,
    groups: int = 1,
    device_bits: tuple[int, int] | None = None,
    tile_n: int = 128,
    near: bool = True,
) -> SlotBound:
    """The strict-fp32 convolution as an implicit GEMM of ``pixels`` by the outputs of each group.

    Args:
        k: of a group, with channels filled up; ``image_values``: of all images, filled up likewise.
        device_bits: of an image's value and of a weight in device memory, where they are not packed there.
        tile_n: outputs of a CTA.
        near: as of :func:`gemm_bound`.

    What windows share is read from L2 and DRAM once at least: caches may hold the rest.
    """
    product = gemm_bound(gpu, left, right, m=pixels, n=outputs // groups, k=k, cta=(128, tile_n), near=near)
    image_bits, weight_bits = device_bits or (left.bits, right.bits)
    moved = image_values * image_bits / 8 + outputs * k * weight_bits / 8 + 4.0 * pixels * outputs
    return SlotBound(
        fma_us=groups * product.fma_us,
        alu_us=groups * product.alu_us,
        issue_us=groups * product.issue_us,
        shared_us=groups * product.shared_us,
        l2_us=moved / (gpu.l2.bandwidth_gbs * 1e3),
        dram_us=moved / (gpu.dram_peak_gbs * 1e3),
    )


def _bound(
    gpu: GpuSpec, *, fma: float, alu: float, shared_bytes: float, l2_bytes: float, dram_bytes: float
) -> SlotBound:
    clocks = gpu.sms * gpu.clock_mhz
    # Two flops a multiply-add.
    fma_per_us = gpu.plain_tflops[DataType.FP32] * 1e6 / 2
    return SlotBound(
        fma_us=fma / fma_per_us,
        alu_us=alu / (ALU_LANES * clocks),
        issue_us=(fma + alu) / (ISSUE_LANES * clocks),
        shared_us=shared_bytes / (gpu.shared.bandwidth_gbs * 1e3),
        l2_us=l2_bytes / (gpu.l2.bandwidth_gbs * 1e3),
        dram_us=dram_bytes / (gpu.dram_peak_gbs * 1e3),
    )
