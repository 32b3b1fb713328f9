"""What the reader knows of a tensor and of a node while it walks through a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from headroom.graph.tensor import TensorSpec

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor during the walk.

    ``constant`` says that it does not depend on the model's inputs: a weight, or something that any runtime
    computes once from weights. ``data`` holds the contents where they are known and small enough to compute
    with. ``stored`` is the weight in the file that a view of a weight (a transposed copy, a dequantised
    one) comes from, so that memory is counted once and in the stored type.
    """

    spec: TensorSpec
    constant: bool = False
    data: NDArray[Any] | None = None
    stored: TensorSpec | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.shape

    @property
    def weight(self) -> TensorSpec:
        """The tensor to report as a layer's weight: this shape under the stored name and type."""
        if self.stored is None:
            return self.spec
        return replace(self.stored, shape=self.spec.shape)


@dataclass(frozen=True, slots=True)
class Call:
    """One node with everything known about its operands; what a function of :mod:`.operators` is given.

    ``inputs`` keeps the node's positions, ``None`` where an optional input is left out. ``outputs`` holds
    the tensors that the node writes, with static shapes; unused optional outputs are ``None``.
    """

    operator: str
    domain: str
    opset: int
    name: str
    attributes: Attributes
    inputs: tuple[Value | None, ...]
    outputs: tuple[TensorSpec | None, ...]
    notes: list[str] = field(default_factory=list, compare=False)

    def attribute(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def value(self, position: int) -> Value | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def has(self, position: int) -> bool:
        return self.value(position) is not None

    def shape(self, position: int) -> tuple[int, ...]:
        """Shape of a required input."""
        value = self.value(position)
        if value is None:
            raise LookupError(f"input {position} is missing")
        return value.shape

    @property
    def out(self) -> TensorSpec:
        """The first output that is used."""
        for spec in self.outputs:
            if spec is not None:
                return spec
        raise LookupError("no output is used")

    @property
    def elements_known(self) -> int:
        """Elements of all operands whose contents are known."""
        return sum(value.data.size for value in self.inputs if value is not None and value.data is not None)

    def integers(self, position: int, attribute: str) -> tuple[int, ...] | None:
        """A list of integers that newer opsets pass as an input and older ones as an attribute."""
        value = self.value(position)
        if value is not None and value.data is not None:
            return tuple(int(v) for v in value.data.ravel())
        listed = self.attribute(attribute)
        if listed is None:
            return None
        return (int(listed),) if isinstance(listed, int) else tuple(int(v) for v in listed)
