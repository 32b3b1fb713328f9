"""What the reader knows of a tensor and of a node; what a function of :mod:`.operators` is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor as the operator that reads or writes it sees it: its shape after all views.

    ``order`` lists the dimensions as they lie in memory, outermost first, where that is not their own order.
    """

    shape: tuple[int, ...]
    element: str = "float32"
    order: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        total = 1
        for size in self.shape:
            total *= size
        return total


@dataclass(frozen=True, slots=True)
class Call:
    """One ATen operator with its arguments under the names of its schema, defaults filled in.

    Tensors are :class:`Operand` (lists of them tuples), everything else is as PyTorch recorded it.
    ``operator`` has no namespace, overload or in-place underscore: ``aten.relu_.default`` is ``"relu"``.
    ``is_view`` says that the result shares memory with an operand, so that nothing was copied: PyTorch
    decides, per call, whether ``reshape``, ``contiguous`` or ``to`` had to copy.
    """

    operator: str
    overload: str
    arguments: Mapping[str, Any]
    outputs: tuple[Operand, ...]
    is_view: bool = False

    @property
    def out(self) -> Operand:
        return self.outputs[0]

    @property
    def first(self) -> Operand:
        """The first tensor argument: ``input``, ``self``, or the first of a list."""
        for value in self.arguments.values():
            if isinstance(value, Operand):
                return value
            if isinstance(value, tuple) and value and isinstance(value[0], Operand):
                return value[0]
        raise LookupError(f"aten.{self.operator} has no tensor operand")

    @property
    def reordered(self) -> tuple[int, ...]:
        """The order in memory that a copy changes: the first operand's, if the result has its own."""
        return () if self.out.order else self.first.order

    def operand(self, name: str) -> Operand:
        value = self.arguments[name]
        if not isinstance(value, Operand):
            raise LookupError(f"argument {name} of aten.{self.operator} is no tensor")
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self.arguments.get(name, default)

    def sizes(self, name: str, rank: int, default: int | tuple[int, ...] = 0) -> tuple[int, ...]:
        """A list of ``rank`` integers; PyTorch accepts one integer, or a list of one, for all of them."""
        value = self.arguments.get(name)
        if value is None or value in ((), []):
            value = default
        values = (value,) if isinstance(value, int) else tuple(value)
        return values * rank if len(values) == 1 else values
