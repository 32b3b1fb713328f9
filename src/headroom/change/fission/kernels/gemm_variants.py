"""The strict-fp32 product with fission: its variants, and how each is compiled and launched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from headroom.change.fission.formats import FORMATS
from headroom.change.fission.kernels.sources import compile_entries, struct_of
from headroom.measure.kernels.registry import Capability

TILE, THREADS = 128, 256
FILE = "gemm.cu"
#: Structs of the simulated unit, by the name that tables use; they compute nothing of meaning.
SIMULATED = {"deft16_unit": ("SimulatedUnit<2>", 16), "deft8_unit": ("SimulatedUnit<4>", 8)}


class Where(StrEnum):
    """Where an operand is split."""

    NEAR = "NEAR"
    AHEAD = "AHEAD"
    FUSED = "FUSED"


@dataclass(frozen=True, slots=True)
class Side:
    """One operand: its format (``fp32``, one of the formats with a scale per row or none, or a simulated unit's)."""

    form: str = "fp32"
    where: Where = Where.NEAR

    @property
    def struct(self) -> str:
        if self.form == "fp32":
            return "Fp32"
        return SIMULATED[self.form][0] if self.form in SIMULATED else struct_of(self.form)

    @property
    def bits(self) -> int:
        """Of a value where it is packed."""
        if self.form == "fp32":
            return 32
        return SIMULATED[self.form][1] if self.form in SIMULATED else FORMATS[self.form].bits

    @property
    def shared_bits(self) -> int:
        return 32 if self.where is Where.AHEAD else self.bits


def simulation(*sides: Side) -> tuple[tuple[str, str], ...]:
    """What a source is compiled with: what simulates the unit apart from what computes."""
    return (("SIMULATE_UNIT", "1"),) if any(side.form in SIMULATED for side in sides) else ()


def sides_named(*sides: Side) -> str:
    """The operands as arguments of a template."""
    return ", ".join(f"{side.struct}, {side.where.value}" for side in sides)


@dataclass(frozen=True, slots=True)
class Variant:
    """Two operands that are multiplied, whatever the left one is made of."""

    left: Side = Side()
    right: Side = Side()

    @property
    def simulated(self) -> bool:
        """Whether it simulates the unit that no GPU has: its outputs are meaningless."""
        return bool(self.macros)

    @property
    def macros(self) -> tuple[tuple[str, str], ...]:
        return simulation(self.left, self.right)

    @property
    def tile_k(self) -> int:
        """Steps of K between two barriers."""
        return 16 if min(self.left.bits, self.right.bits) == 8 else 8


@dataclass(frozen=True, slots=True)
class GemmVariant(Variant):
    """A product of two operands."""

    @property
    def entry(self) -> str:
        return f"packed_gemm<{sides_named(self.left, self.right)}>"

    @property
    def shared_bytes(self) -> int:
        """Two buffers of both operands' tiles."""
        return 2 * TILE * self.tile_k * (self.left.shared_bits + self.right.shared_bits) // 8

    def grid(self, m: int, n: int) -> tuple[int, int]:
        return -(-n // TILE), -(-m // TILE)


def compile_gemm(variants: tuple[GemmVariant, ...], capability: Capability) -> Any:
    """Variants as a ``cuda.core.ObjectCode``; simulated ones apart from those that compute.

    Raises:
        GpuError: cuda-core or NVRTC is missing, or they do not compile.
    """
    macros = {variant.macros for variant in variants}
    if len(macros) > 1:
        raise ValueError("a simulation of the unit is compiled apart from what computes")
    return compile_entries(tuple(variant.entry for variant in variants), FILE, capability, *macros)


def figure_11() -> dict[str, GemmVariant]:
    """The variants of the paper's Figures 11, 12 and 18: both operands alike, by the tables' names."""

    def both(form: str, where: Where = Where.NEAR) -> GemmVariant:
        return GemmVariant(Side(form, where), Side(form, where))

    return {
        "no fission": both("fp32"),
        "half": both("half"),
        "Deft-16": both("deft16"),
        "Deft-16Q": both("deft16q"),
        "Deft-16Q, fused on the way in": both("deft16q", Where.FUSED),
        "Deft-16Q, off-chip packing": both("deft16q", Where.AHEAD),
        "Deft-8, 4 exponent bits": both("deft8e4_paper"),
        "Deft-8, off-chip packing": both("deft8e4_paper", Where.AHEAD),
        "fp8 e4m3": both("fp8_e4m3"),
        "int8": both("int8"),
        "weights in int8": GemmVariant(Side(), Side("int8")),
        "Deft-16H (simulated unit)": both("deft16_unit"),
        "Deft-8H (simulated unit)": both("deft8_unit"),
    }
