"""How a family of operators tells the reader what its members are.

Each module of this folder holds one family and fills a :class:`Family`. Adding an operator is one line in
such a table, or one small function from a :class:`~headroom.graph.onnx.call.Call` to a record of
:mod:`headroom.graph.work`. Operators outside the standard domain are keyed ``"domain::Name"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from headroom.graph.onnx.call import Call
from headroom.graph.work import Work

Describe = Callable[[Call], Work]

#: Shape and element type of each output, in the node's order.
Form = tuple[tuple[int, ...], str]
ShapeRule = Callable[[Call], tuple[Form, ...]]


@dataclass(frozen=True)
class Family:
    """A family of operators.

    ``describe`` gives the work of a call. ``shapes`` gives the outputs of operators for which the ONNX
    library has no inference of its own. ``settings`` lists, per operator, the input positions that steer
    the operator (a target shape, axes, the bounds of a slice) instead of carrying data: runtimes read them
    on the host, so they are no traffic.
    """

    describe: Mapping[str, Describe]
    shapes: Mapping[str, ShapeRule] = field(default_factory=dict)
    settings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def key_of(domain: str, operator: str) -> str:
    """The registry's key: the plain name in the standard domain."""
    return operator if domain in ("", "ai.onnx") else f"{domain}::{operator}"


def same(names: Iterable[str], describe: Describe) -> dict[str, Describe]:
    """One description for several operators."""
    return dict.fromkeys(names, describe)


def like_input(call: Call) -> tuple[Form, ...]:
    """Every output has the first input's shape and type."""
    first = call.inputs[0]
    assert first is not None
    return tuple((first.shape, first.spec.element) for _ in call.outputs)
