"""The strict-fp32 convolution with fission: its variants, and how each is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headroom.change.fission.kernels.gemm_variants import TILE, Variant, Where, sides_named
from headroom.change.fission.kernels.sources import compile_entries
from headroom.measure.kernels.registry import Capability

FILE = "convolution.cu"
SUM_PARTS, SUM_THREADS = "sum_parts", 256


@dataclass(frozen=True, slots=True)
class ConvolutionVariant(Variant):
    """An instance of ``convolution.cu``.

    Attributes:
        left: the images' side, ``right`` the weights'.
        tile_n: outputs of a CTA, 64 or 128.
        load_words: of 32 bits that an image is read in: 4 where a pixel's channels fill them, else 1.
    """

    tile_n: int = TILE
    load_words: int = 4

    @property
    def entry(self) -> str:
        return f"packed_convolution<{sides_named(self.left, self.right)}, {self.tile_n}, {self.load_words}>"

    @property
    def threads(self) -> int:
        return TILE * self.tile_n // 64

    @property
    def shared_bytes(self) -> int:
        """Two buffers of both operands' tiles."""
        return 2 * self.tile_k * (TILE * self.left.shared_bits + self.tile_n * self.right.shared_bits) // 8

    @property
    def load_values(self) -> int:
        """Values of one load of an image: channels of a pixel are a multiple of it."""
        return self.load_words * (1 if self.left.where is Where.FUSED else 32 // self.left.bits)


def compile_convolution(variant: ConvolutionVariant, capability: Capability) -> Any:
    """The instance, and what sums parts, as a ``cuda.core.ObjectCode``.

    Raises:
        GpuError: cuda-core or NVRTC is missing, or it does not compile.
    """
    return compile_entries((variant.entry, SUM_PARTS), FILE, capability, variant.macros)
