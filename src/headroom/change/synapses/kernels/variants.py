"""The instances of our kernels: arithmetic, tile and vector. All that is known of one before it is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from headroom.errors import UsageError
from headroom.measure.kernels.registry import Capability

FOLDER = Path(str(files("headroom.change.synapses.kernels")))
#: Where the kernels' includes lie.
FOLDERS = (FOLDER, Path(str(files("headroom.change.kernels"))))

#: As in tile.cuh: bytes of K per row and step, and between rows in shared memory.
STEP_BYTES, PITCH_BYTES = 64, 80
_WINDOW_BYTES = 8
#: Outputs are padded to a multiple of every tile's.
PADDED_OUTPUTS = 128
GEMV_THREADS, GEMV_OUTPUTS = 256, 8


class Arithmetic(StrEnum):
    """What the kernels compute in; sums are always fp32."""

    FP32 = "fp32"
    """Strict: every product and sum rounded once, to fp32."""
    TF32 = "tf32"
    BF16 = "bf16"

    @property
    def number_bytes(self) -> int:
        return 2 if self is Arithmetic.BF16 else 4

    @property
    def per_step(self) -> int:
        """Columns of one step along K."""
        return STEP_BYTES // self.number_bytes

    @property
    def minimum(self) -> Capability:
        """The first GPU that has the instructions."""
        return (7, 5) if self is Arithmetic.FP32 else (8, 0)

    @property
    def output(self) -> str:
        return "Bf16Out" if self is Arithmetic.BF16 else "Fp32Out"


@dataclass(frozen=True, slots=True)
class Tile:
    """What one CTA computes: ``m`` pixels by ``n`` outputs; on tensor cores a warp has ``warp_m`` by ``warp_n``."""

    m: int
    n: int
    warp_m: int
    warp_n: int


TILES = (Tile(128, 128, 64, 32), Tile(128, 64, 64, 32), Tile(64, 64, 32, 32), Tile(32, 128, 32, 32))
#: Bytes that one table entry covers.
_VECTOR_BYTES = {Arithmetic.FP32: (4, 16), Arithmetic.TF32: (4, 16), Arithmetic.BF16: (2, 4, 16)}
_FEW_ROWS = "rows"
_TENSOR_STAGES, _PLAIN_STAGES = 4, 3


@dataclass(frozen=True, slots=True)
class Gather:
    """An instance of ``gather.cu``; ``vector`` channels per table entry."""

    arithmetic: Arithmetic
    tile: Tile
    vector: int

    file = "gather.cu"

    @property
    def key(self) -> str:
        """How layers name it: ``bf16 128x64 8``."""
        return f"{self.arithmetic} {self.tile.m}x{self.tile.n} {self.vector}"

    @property
    def name(self) -> str:
        """NVRTC's name expression."""
        tile = self.tile
        if self.arithmetic is Arithmetic.FP32:
            math = f"Plain<{tile.m}, {tile.n}>"
        else:
            math = f"Tensor<{self.arithmetic.capitalize()}, {tile.m}, {tile.n}, {tile.warp_m}, {tile.warp_n}>"
        return f"gather<{math}, {self.arithmetic.output}, {self.vector * self.arithmetic.number_bytes}, {self.stages}>"

    @property
    def stages(self) -> int:
        """Steps on their way at once: Turing's 64 KiB of shared memory hold three of the largest tile."""
        return _PLAIN_STAGES if self.arithmetic is Arithmetic.FP32 else _TENSOR_STAGES

    @property
    def threads(self) -> int:
        if self.arithmetic is Arithmetic.FP32:
            return self.tile.m * self.tile.n // 64
        return 32 * (self.tile.m // self.tile.warp_m) * (self.tile.n // self.tile.warp_n)

    @property
    def shared_bytes(self) -> int:
        """Dynamic shared memory of a CTA."""
        return self.stages * (self.tile.m + self.tile.n) * PITCH_BYTES + self.tile.m * _WINDOW_BYTES


@dataclass(frozen=True, slots=True)
class Gemv:
    """An instance of ``gemv.cu``, for at most ``rows`` rows."""

    arithmetic: Arithmetic
    rows: int

    file = "gemv.cu"

    @property
    def key(self) -> str:
        """How layers name it, whatever its rows: ``bf16 rows``."""
        return f"{self.arithmetic} {_FEW_ROWS}"

    @property
    def name(self) -> str:
        number = "Bf16" if self.arithmetic is Arithmetic.BF16 else "Fp32"
        return f"gather_gemv<{number}In, {number}Out, {self.rows}>"


GEMV_ROWS = (1, 2, 4, 8)


def gathers(arithmetic: Arithmetic) -> Iterator[Gather]:
    """Every instance of ``gather.cu`` of that arithmetic."""
    for tile in TILES:
        for vector_bytes in _VECTOR_BYTES[arithmetic]:
            yield Gather(arithmetic, tile, vector_bytes // arithmetic.number_bytes)


def vectors(arithmetic: Arithmetic) -> tuple[int, ...]:
    """Channels per table entry that there are instances for, fewest first."""
    return tuple(each // arithmetic.number_bytes for each in _VECTOR_BYTES[arithmetic])


def gemv_for(arithmetic: Arithmetic, rows: int) -> Gemv:
    """The smallest instance of ``gemv.cu`` that holds so many rows.

    Raises:
        UsageError: none does.
    """
    for most in GEMV_ROWS:
        if rows <= most:
            return Gemv(arithmetic, most)
    raise UsageError(f"{rows} rows are too many for the kernel of few rows, at most {GEMV_ROWS[-1]}; gather in tiles")


def sum_name(arithmetic: Arithmetic) -> str:
    """The kernel that adds up parts of K."""
    return f"sum_parts<{arithmetic.output}>"


def kernel_of(key: str, rows: int) -> Gather | Gemv:
    """The instance that a layer's ``key`` names, for ``rows`` rows of a linear layer.

    Raises:
        UsageError: there is none, or the rows are too many.
    """
    for arithmetic in Arithmetic:
        if key == f"{arithmetic} {_FEW_ROWS}":
            return gemv_for(arithmetic, rows)
    found = _BY_KEY.get(key)
    if found is None:
        raise UsageError(
            f"there is no kernel {key!r}; take one of {', '.join(_BY_KEY)} or '{Arithmetic.FP32} {_FEW_ROWS}'"
        )
    return found


_BY_KEY = {variant.key: variant for arithmetic in Arithmetic for variant in gathers(arithmetic)}
