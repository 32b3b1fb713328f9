"""The table of operators: which function tells the work of which ATen operator."""

from __future__ import annotations

from collections.abc import Callable

from headroom.graph.torch.call import Call, Operand
from headroom.graph.work import Unknown, Work

Builder = Callable[[Call], Work]

_BUILDERS: dict[str, Builder] = {}


def operators(*names: str) -> Callable[[Builder], Builder]:
    """Register the decorated function for these operators, named without namespace and overload."""

    def register(builder: Builder) -> Builder:
        for name in names:
            if name in _BUILDERS:
                raise ValueError(f"two functions claim the operator {name}")
            _BUILDERS[name] = builder
        return builder

    return register


def work_of(call: Call) -> Work:
    """The work of one call; :class:`Unknown` for an operator that no family claims."""
    builder = _BUILDERS.get(call.operator)
    if builder is None:
        return Unknown(call.operator, f"no reader for this operator, which writes {described(call.outputs)}")
    try:
        return builder(call)
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        found = f"{type(error).__name__}: {error}"
        return Unknown(call.operator, f"unexpected arguments ({found}); it writes {described(call.outputs)}")


def described(outputs: tuple[Operand, ...]) -> str:
    """Shapes for a person: ``2x64x7x7 float32 and 2 int64``."""
    parts = [f"{'x'.join(map(str, out.shape)) or 'a scalar'} {out.element}" for out in outputs]
    return " and ".join(parts) if parts else "nothing"
