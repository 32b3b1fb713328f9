"""Branches and loops: taken or unrolled where the file decides them, one unknown layer where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import onnx

from headroom.graph.layer import Layer
from headroom.graph.onnx.call import Call
from headroom.graph.onnx.inline import branch_body, loop_body
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Unknown

if TYPE_CHECKING:
    from headroom.graph.onnx.walk import Walk

#: Nodes that an unrolled loop may become; a longer loop stays one layer.
_UNROLLED_NODES = 10_000


#: Bytes that the copies of a loop's body may take.
_UNROLLED_BYTES = 16 << 20


@dataclass(frozen=True)
class Site:
    """A node with a body, where it stands in the walk."""

    walk: Walk
    node: onnx.NodeProto
    call: Call
    depth: int
    module: str
    fresh_prefix: Callable[[onnx.NodeProto], str]

    @cached_property
    def prefix(self) -> str:
        """Stands before every name that writing the node out needs; no other node has it."""
        return self.fresh_prefix(self.node)

    def run(self, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> None:
        self.walk.add_constants(constants)
        self.walk.walk(nodes, self.depth + 1, self.module)

    def constant(self, name: str, number: int | bool | list[int]) -> str:
        """A constant of ours under the node's name."""
        full = f"{self.prefix}{name}"
        self.walk.set_data(full, np.array(number))
        return full


def take_branch(site: Site) -> bool:
    """An If: the branch that a known condition picks, or the costlier of the two as an unknown layer."""
    condition = site.call.value(0)
    branches = (site.call.attribute("then_branch"), site.call.attribute("else_branch"))
    if condition is not None and condition.data is not None:
        chosen = branches[0] if bool(condition.data.ravel()[:1].any()) else branches[1]
        site.run(*branch_body(chosen, site.node, site.prefix))
        return True
    tried = []
    for label, branch in zip(("then", "else"), branches, strict=True):
        tried.append(_attempt(site, *branch_body(branch, site.node, f"{site.prefix}{label}/")))
    layers, results = max(tried, key=lambda attempt: sum(layer.macs for layer in attempt[0]))
    _as_unknown(site, layers, results, "which branch it takes is only known at run time", 1)
    return True


def run_loop(site: Site) -> bool:
    """A Loop: unrolled if the number of turns is known, else one unknown layer worth one turn."""
    body: onnx.GraphProto = site.call.attribute("body")
    most, condition = site.call.value(0), site.call.value(1)
    turns = int(most.data.ravel()[0]) if most is not None and most.data is not None and most.data.size else None
    starts = condition is None or condition.data is not None
    if condition is not None and condition.data is not None and not condition.data.ravel()[:1].any():
        turns = 0
    carried = list(site.node.input[2:])
    limit = _longest(body)
    known = turns is not None and starts and turns <= limit and _keeps_going(body)
    state, stacked = _turns(site, body, carried, turns if known and turns is not None else 1, known)
    if known:
        _bind(site, state, stacked, axes=[0] * len(stacked))
    return True


def _longest(body: onnx.GraphProto) -> int:
    """Turns of a body that may be written out: its nodes, and the copies of its constants, stay few."""
    nodes, size = len(body.node) + len(body.input), int(body.ByteSize())
    return min(_UNROLLED_NODES // max(nodes, 1), _UNROLLED_BYTES // max(size, 1))


def _keeps_going(body: onnx.GraphProto) -> bool:
    """Whether the condition after a turn is the one before it, or a constant that says yes."""
    wanted, given = body.output[0].name, body.input[1].name
    source = {node.output[0]: node for node in body.node if len(node.output) == 1}
    while wanted in source and source[wanted].op_type in ("Identity", "Cast"):
        wanted = source[wanted].input[0]
    if wanted == given:
        return True
    return wanted in source and source[wanted].op_type == "Constant"


def _turns(
    site: Site, body: onnx.GraphProto, state: list[str], turns: int, known: bool
) -> tuple[list[str], list[list[str]]]:
    """Run the body ``turns`` times; the final state and, per stacked result, its pieces."""
    stacked: list[list[str]] = [[] for _ in body.output[1 + len(state) :]]
    for turn in range(turns):
        bound = {body.input[0].name: site.constant(f"turn{turn}", turn)}
        bound[body.input[1].name] = site.constant("go", True)
        bound.update(zip((v.name for v in body.input[2:]), state, strict=False))
        nodes, constants, results = loop_body(body, bound, f"{site.prefix}{turn}/")
        if not known:
            layers, _ = _attempt(site, nodes, constants)
            named = dict(zip(site.node.output, results[1:], strict=False))
            found = _specs(site, named, stacked_from=len(state))
            _as_unknown(site, layers, found, "how often its body runs is only known at run time", 1)
            return state, stacked
        site.run(nodes, constants)
        state = results[1 : 1 + len(state)]
        for pieces, result in zip(stacked, results[1 + len(state) :], strict=True):
            pieces.append(result)
    return state, stacked


def run_scan(site: Site) -> bool:
    """A Scan: one turn per slice of its inputs; long ones become one unknown layer."""
    body: onnx.GraphProto = site.call.attribute("body")
    count = int(site.call.attribute("num_scan_inputs", 0))
    if site.call.opset < 9 or count < 1:
        return False
    initial, sequences = list(site.node.input[:-count]), list(site.node.input[-count:])
    axes = list(site.call.attribute("scan_input_axes", [0] * count))
    shape = site.walk.values[sequences[0]].shape
    turns = shape[axes[0]]
    if turns > _longest(body):
        return _long_scan(site, body, initial, sequences, axes, turns)
    state = initial
    stacked: list[list[str]] = [[] for _ in body.output[len(initial) :]]
    for turn in range(turns):
        state, results = _scan_turn(site, body, state, sequences, axes, turn)
        for pieces, result in zip(stacked, results, strict=True):
            pieces.append(result)
    _bind(site, state, stacked, list(site.call.attribute("scan_output_axes", [0] * len(stacked))))
    return True


def _scan_turn(
    site: Site, body: onnx.GraphProto, state: list[str], sequences: list[str], axes: list[int], turn: int
) -> tuple[list[str], list[str]]:
    nodes, bound = [], dict(zip((v.name for v in body.input), state, strict=False))
    for value, sequence, axis in zip(body.input[len(state) :], sequences, axes, strict=True):
        piece = f"{site.prefix}{turn}/slice/{value.name}"
        index = site.constant(f"turn{turn}", turn)
        nodes.append(onnx.helper.make_node("Gather", [sequence, index], [piece], axis=axis))
        bound[value.name] = piece
    inner, constants, results = loop_body(body, bound, f"{site.prefix}{turn}/")
    site.run([*nodes, *inner], constants)
    return results[: len(state)], results[len(state) :]


def _long_scan(
    site: Site, body: onnx.GraphProto, initial: list[str], sequences: list[str], axes: list[int], turns: int
) -> bool:
    mark = _Mark(site.walk)
    state, results = _scan_turn(site, body, initial, sequences, axes, 0)
    layers = mark.undo()
    named = dict(zip(site.node.output, (*state, *results), strict=False))
    found = [
        TensorSpec(spec.name, (turns, *spec.shape[1:]) if i >= len(state) else spec.shape, spec.element)
        for i, spec in enumerate(_specs(site, named, stacked_from=len(state)))
    ]
    _as_unknown(site, layers, found, f"it runs its body {turns} times, one after another", turns)
    return True


class _Mark:
    """A place in the walk to come back to."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._layers = len(walk.layers)

    def undo(self) -> list[Layer]:
        """Take back the layers added since, and return them."""
        added = self._walk.layers[self._layers :]
        del self._walk.layers[self._layers :]
        return added


def _attempt(
    site: Site, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]
) -> tuple[list[Layer], list[TensorSpec]]:
    """Walk a body for its cost and its results' shapes only."""
    mark = _Mark(site.walk)
    site.run(nodes, constants)
    layers = mark.undo()
    results = [site.walk.values[name].spec for name in site.node.output if name in site.walk.values]
    return layers, results


def _specs(site: Site, named: dict[str, str], stacked_from: int) -> list[TensorSpec]:
    """The node's results after one turn; what it stacks gets a leading dimension of 1."""
    specs = []
    for position, (outer, inner) in enumerate(named.items()):
        spec = site.walk.values[inner].spec
        shape = spec.shape if position < stacked_from else (1, *spec.shape)
        specs.append(TensorSpec(outer, shape, spec.element))
    return specs


def _bind(site: Site, state: list[str], stacked: list[list[str]], axes: list[int]) -> None:
    """The unrolled loop's results under the node's own names."""
    nodes = []
    outer = list(site.node.output)
    for name, result in zip(outer, state, strict=False):
        if name:
            nodes.append(onnx.helper.make_node("Identity", [result], [name]))
    for name, pieces, axis in zip(outer[len(state) :], stacked, axes, strict=False):
        if not name or not pieces:
            continue
        lifted = [f"{piece}/lifted{axis}" for piece in pieces]
        for piece, target in zip(pieces, lifted, strict=True):
            shape = list(site.walk.values[piece].shape)
            position = axis if axis >= 0 else len(shape) + 1 + axis
            wanted = site.constant(f"{target}/shape", [*shape[:position], 1, *shape[position:]])
            nodes.append(onnx.helper.make_node("Reshape", [piece, wanted], [target]))
        nodes.append(onnx.helper.make_node("Concat", lifted, [name], axis=axis))
    site.run(nodes, [])


def _as_unknown(site: Site, layers: list[Layer], results: list[TensorSpec], reason: str, turns: int) -> None:
    """One layer in place of a body that cannot be written out; its macs weigh in the coverage."""
    made = {tensor.name for layer in layers for tensor in layer.outputs}
    read = {t.name: t for layer in layers for t in layer.inputs if t.name not in made}
    for name in site.node.input:
        value = site.walk.values.get(name)
        if value is not None and not value.constant:
            read[name] = value.spec
    weights = {t.name: t for layer in layers for t in layer.weights}
    macs = turns * sum(layer.macs for layer in layers)
    site.walk.add(
        Layer(
            name=site.call.name,
            operator=site.call.operator,
            work=Unknown(site.call.operator, reason, macs),
            inputs=tuple(read.values()),
            weights=tuple(weights.values()),
            outputs=tuple(results),
            module=site.module,
        )
    )
