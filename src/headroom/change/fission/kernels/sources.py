"""The CUDA sources of packed layers: which kernels there are, what NVRTC is asked for, and how each is launched."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from headroom.change.fission.formats import FORMATS
from headroom.change.fission.formats.scaled import Scaled
from headroom.measure.kernels.registry import CAPABILITIES, Capability

FOLDER = Path(str(files("headroom.change.fission.kernels")))
LINEAR_FILE = "linear.cu"
#: Where the sources' includes lie.
FOLDERS = (FOLDER, Path(str(files("headroom.change.kernels"))))
#: The oldest GPUs that NVRTC 13 compiles for: the sources need nothing younger.
MINIMUM: Capability = CAPABILITIES[0]

WARPS, LANES, LOAD_BYTES = 8, 32, 16
#: Shared memory that a CTA gets without asking.
SHARED_BYTES = 48 * 1024
#: C++ type of activations, by data type.
NUMBERS = {"fp32": "float", "bf16": "u16"}


def struct_of(format_name: str) -> str:
    """The struct of ``unpack.cuh`` that splits the format; its registry is :data:`FORMATS`.

    >>> struct_of("deft8e4"), struct_of("int4_g128")
    ('Deft8<4, true>', 'Int4')
    """
    base = format_name.split("_g")[0]
    if base.startswith("deft8e"):
        return f"Deft8<{base[6]}, {'false' if base.endswith('_paper') else 'true'}>"
    fixed = {"half": "Half", "deft16": "Deft16", "deft16q": "Deft16Q", "int8": "Int8", "int4": "Int4"}
    return {**fixed, "fp8_e4m3": "Fp8<4>", "fp8_e5m2": "Fp8<5>"}[base]


@dataclass(frozen=True, slots=True)
class LinearVariant:
    """One shape of the small-batch kernel; which is fastest for a layer is measured.

    Attributes:
        rows: outputs that a warp computes together.
        batch: samples that a CTA computes together.
        split: warps that divide K between them.
    """

    format_name: str
    dtype: str = "fp32"
    rows: int = 2
    batch: int = 1
    split: int = 1

    @property
    def grouped(self) -> bool:
        form = FORMATS[self.format_name]
        return isinstance(form, Scaled) and bool(form.group)

    @property
    def entry(self) -> str:
        """The instance of the template that NVRTC compiles."""
        shape = f"{self.rows}, {self.batch}, {self.split}, {'true' if self.grouped else 'false'}"
        return f"packed_linear<{struct_of(self.format_name)}, {NUMBERS[self.dtype]}, {shape}>"

    @property
    def values_per_load(self) -> int:
        """Values in 16 bytes."""
        return 8 * LOAD_BYTES // FORMATS[self.format_name].bits

    @property
    def shared_bytes(self) -> int:
        """Inputs of one step, in fp32; at the end the slices' sums lie there."""
        return max(4 * self.batch * self.split * LANES * self.values_per_load, 4 * WARPS * self.rows * self.batch)

    @property
    def fits(self) -> bool:
        return self.shared_bytes <= SHARED_BYTES and self.rows * self.batch * (WARPS // self.split) <= WARPS * LANES

    def grid(self, outputs: int, batch: int) -> tuple[int, int]:
        """CTAs along outputs and along samples."""
        per_cta = self.rows * WARPS // self.split
        return -(-outputs // per_cta), -(-batch // self.batch)


def variants(format_name: str, dtype: str, batch: int) -> tuple[LinearVariant, ...]:
    """Shapes worth measuring for ``batch`` samples: batches of up to 8, two or four rows, K whole or divided."""
    samples = min(8, 1 << (batch - 1).bit_length())
    found = (LinearVariant(format_name, dtype, rows, samples, split) for rows in (1, 2, 4) for split in (1, 2, 4, 8))
    return tuple(each for each in found if each.fits)


def compile_entries(
    names: tuple[str, ...], file: str, capability: Capability, macros: tuple[tuple[str, str], ...] = ()
) -> Any:
    """Instances of the templates of ``file``, compiled for one GPU, as a ``cuda.core.ObjectCode``.

    Raises:
        GpuError: cuda-core or NVRTC is missing, or they do not compile.
    """
    from headroom.measure.kernels.compile import compile_text

    major, minor = capability
    text = (FOLDER / file).read_text("utf-8")
    return compile_text(text, file, f"sm_{major}{minor}", folders=FOLDERS, macros=macros, names=names)
