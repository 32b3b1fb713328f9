"""Tensors as the readers describe them: a name, a static shape and an element type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

#: Element types with a fixed width in bytes, whatever data type the model runs in.
FIXED_WIDTH_BYTES = {
    "int64": 8, "uint64": 8, "int32": 4, "uint32": 4, "int16": 2, "uint16": 2, "int8": 1, "uint8": 1,
    "bool": 1, "complex64": 8, "complex128": 16, "string": 8,
}  # fmt: skip

#: Floating-point element types, which follow the data type of the analysis. The width is the stored one.
FLOAT_WIDTH_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8": 1}


class DataType(StrEnum):
    """The data type an analysis is made for. ``FP32`` means that tf32 is off."""

    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"

    @property
    def bytes(self) -> int:
        """Bytes of one element in memory; tf32 is stored as fp32."""
        return _STORED_BYTES[self]

    @property
    def met_by(self) -> tuple[DataType, ...]:
        """The types whose implementations may run what is asked in this one: who allows tf32 allows strict fp32."""
        return (self, DataType.FP32) if self is DataType.TF32 else (self,)


#: Read for every tensor of every layer, so it is a table and not made anew each time.
_STORED_BYTES = {
    DataType.FP32: 4, DataType.TF32: 4, DataType.FP16: 2, DataType.BF16: 2, DataType.FP8: 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor: its name in the model, its static shape, its element type (``"float32"``, ``"int64"``, …)."""

    name: str
    shape: tuple[int, ...]
    element: str = "float32"

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def bytes(self, dtype: DataType) -> int:
        """Bytes in memory when the model's floating-point tensors are stored as ``dtype``."""
        return self.elements * FIXED_WIDTH_BYTES.get(self.element, dtype.bytes)

    @property
    def form(self) -> tuple[tuple[int, ...], str]:
        """What two equal layers share: shape and element type, not the name."""
        return self.shape, self.element
