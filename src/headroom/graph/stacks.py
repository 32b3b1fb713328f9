"""Recurrent cells that follow each other, joined into the one stack that a library runs.

Files hold one node per cell; cuDNN runs the whole stack in one call, its layers as a wavefront.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.uses import Uses, joined
from headroom.graph.work import Free, Movement, Recurrent

#: Views and transposes between two cells.
_CHAIN = 4


def join_stacks(layers: tuple[Layer, ...], outputs: Iterable[TensorSpec]) -> tuple[Layer, ...]:
    """Replace every pure stack of equal recurrent cells by one layer that keeps them as parts.

    A stack is pure if each cell reads the whole output of the one before, that output goes nowhere else,
    and all cells have the same size and directions.
    """
    uses = Uses(layers, outputs)
    replaced: dict[int, Layer] = {}
    taken: set[int] = set()
    for index, layer in enumerate(layers):
        if not isinstance(layer.work, Recurrent) or index in taken:
            continue
        members = _stack(uses, index)
        if sum(isinstance(layers[i].work, Recurrent) for i in members) > 1 and _nothing_waits(uses, members):
            taken.update(members)
            replaced[members[-1]] = _layer(uses, members)
    return joined(layers, replaced, taken)


def _stack(uses: Uses, first: int) -> list[int]:
    members = [first]
    while (following := _next_cell(uses, members[-1])) is not None:
        members.extend(following)
    return members


def _next_cell(uses: Uses, index: int) -> list[int] | None:
    """The views and then the cell that alone read a cell's output sequence."""
    cell = uses.layers[index].work
    assert isinstance(cell, Recurrent)
    path: list[int] = []
    name = uses.layers[index].outputs[0].name
    for _ in range(_CHAIN):
        reader = uses.only_reader(name)
        if reader is None:
            return None
        layer = uses.layers[reader]
        path.append(reader)
        if isinstance(layer.work, Recurrent):
            return path if _continues(cell, layer, name) else None
        moves = isinstance(layer.work, Movement) and layer.work.function == "transpose"
        if not (moves or isinstance(layer.work, Free)) or len(layer.outputs) != 1:
            return None
        name = layer.outputs[0].name
    return None


def _continues(cell: Recurrent, layer: Layer, name: str) -> bool:
    following = layer.work
    assert isinstance(following, Recurrent)
    fits = following.input_size == cell.state_size * cell.directions
    same = replace(following, input_size=cell.input_size) == cell
    return fits and same and layer.inputs[0].name == name


def _nothing_waits(uses: Uses, members: list[int]) -> bool:
    """Whether all that the stack writes is only needed, and all that it reads is made, outside its span."""
    inside, last = set(members), members[-1]
    for index in members:
        for tensor in uses.layers[index].outputs:
            if any(i not in inside and i < last for i in uses.readers.get(tensor.name, ())):
                return False
    return True


def _layer(uses: Uses, members: list[int]) -> Layer:
    parts = tuple(uses.layers[i] for i in members)
    cells = [part for part in parts if isinstance(part.work, Recurrent)]
    first, last = cells[0], cells[-1]
    assert isinstance(first.work, Recurrent)
    made = {tensor.name for part in parts for tensor in part.outputs}
    inputs = {t.name: t for part in parts for t in part.inputs if t.name not in made}
    weights = {t.name: t for part in parts for t in part.weights}
    read_inside = {t.name for part in parts for t in part.inputs}
    needed = {*uses.readers, *uses.kept, last.outputs[0].name} - read_inside
    escaping = [t for part in parts for t in part.outputs if t.name in needed]
    # The sequence of the last cell first: it is what the model goes on with.
    escaping.sort(key=lambda tensor: tensor.name != last.outputs[0].name)
    return Layer(
        name=last.name,
        operator=last.operator,
        work=replace(first.work, layers=sum(_layers(cell) for cell in cells)),
        inputs=tuple(inputs.values()),
        weights=tuple(weights.values()),
        outputs=tuple(escaping),
        module=last.module,
        parts=parts,
    )


def _layers(cell: Layer) -> int:
    """PyTorch's own stacks come with several layers each."""
    assert isinstance(cell.work, Recurrent)
    return cell.work.layers
