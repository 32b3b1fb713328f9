"""Where the calls that were made differ from those that the model asks for: in their operands, and in their order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from headroom.advise.execution import LayerRun
from headroom.advise.questions.answer import Cell, Table
from headroom.advise.recorded import Recorded
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.measure.profiles.profile import Call

_MOST_ROWS = 25

_COMPARED = frozenset({LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC})


def deviations(run: Recorded) -> Table | None:
    """Convolutions and products called with other sizes, and layers that ran out of the model's order."""
    rows = [*_operands(run), *_order(run)]
    if not rows:
        return None
    more = len(rows) - _MOST_ROWS
    return Table(
        "Calls that differ from the model",
        ("layer", "what differs", "in the model", "in the run"),
        tuple(rows[:_MOST_ROWS]),
        note=f"{more} more." if more > 0 else "",
    )


def _operands(run: Recorded) -> Iterator[tuple[Cell, ...]]:
    for each in run.execution.runs:
        if len(each.layers) != 1:
            continue
        layer = run.case.timed.graph.layers[each.layers[0]]
        for call in run.execution.calls(each)[:1] if layer.kind in _COMPARED else ():
            expected, found = _sizes(layer), _called(call)
            if found and expected and not set(found) <= set(expected):
                yield layer.name, "operands", _text(expected.values()), _text(found.values())


def _sizes(layer: Layer) -> dict[int, tuple[int, ...]]:
    """The shapes of a layer's tensors by the number of their values: a call may see them transposed or flattened."""
    return {math.prod(t.shape): t.shape for t in (*layer.inputs, *layer.weights, *layer.outputs)}


def _called(call: Call) -> dict[int, tuple[int, ...]]:
    """The same of a call's first two operands, the tensor and its weight."""
    shapes = [operand.dims for operand in call.operands if operand.dims]
    return {math.prod(shape): shape for shape in shapes[:2]}


def _order(run: Recorded) -> Iterator[tuple[Cell, ...]]:
    """Layers that ran after one that stands behind them in the model."""
    names = run.case.timed.graph.layers
    furthest = -1
    for each in sorted((each for each in run.execution.runs if each.launches), key=_began):
        layer = min(each.layers)
        if layer < furthest:
            yield names[layer].name, "order", f"before {names[furthest].name}", f"after {names[furthest].name}"
        furthest = max(furthest, layer)


def _began(run: LayerRun) -> int:
    return min(run.launches)


def _text(shapes: Iterable[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
