"""Carrying a model over to another batch than the one it was exported with.

The model is walked twice: as exported (the reference) and with the new batch in its inputs. During the
second walk :class:`Rebatch` compares every tensor with the reference, so it knows which dimension carries
the batch, and corrects what constants in the file still say about the old one. :func:`prove` then accepts
the result only if every layer's work grew exactly with the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import onnx

from headroom.errors import ModelError
from headroom.graph.layer import Layer
from headroom.graph.onnx.axes import BatchAxis, Shape, carried_through, changed_dims, holds, scaled
from headroom.graph.onnx.call import Call, Value
from headroom.graph.onnx.operators import DESCRIBE
from headroom.graph.onnx.operators.registry import key_of
from headroom.graph.onnx.shapes import label
from headroom.graph.onnx.walk import KEEP_ORDER, Forms, Walked

#: Operators that do not broadcast a batch of 1.
_STRICT = frozenset({"Concat", "GridSample"})

#: Operators that pair samples of all their operands. Elsewhere a constant is a weight, whose sizes may equal the
#: exported batch by chance.
_PAIRING = _STRICT | {
    "Add", "And", "Div", "Equal", "GatherElements", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean",
    "Min", "Mod", "Mul", "Or", "Pow", "ScatterElements", "Sub", "Sum", "Where", "Xor",
}  # fmt: skip

#: Where recurrent cells take their initial states.
_STATES = {"RNN": (5,), "GRU": (5,), "LSTM": (5, 6)}

#: Operators whose output size is written down in a constant, dimension by dimension.
_SIZED = frozenset({"Expand", "Resize", "Upsample", "Slice", "Pad", "Tile", "CenterCropPad"})


class Rebatch:
    """Corrections for one walk, from the batch ``reference`` to ``batch``.

    ``in_blocks`` is how to read a reshape that leaves open where a batch of 1 goes, see :func:`carried_through`.
    """

    def __init__(
        self, walked: Walked, reference: int, batch: int, batched: Mapping[str, int], *, in_blocks: bool = False
    ) -> None:
        self._before: Mapping[str, Value] = walked.values
        self._reference = reference
        self._batch = batch
        self._in_blocks = in_blocks
        self._axes = {name: BatchAxis(dim) for name, dim in batched.items()}

    def operands(self, node: onnx.NodeProto, call: Call) -> Call:
        """Constants that hold one value per sample (a class token, an initial state) grow with the batch.

        They are recognised beside an operand that carries the batch: where that one has it, they have the
        exported batch. With an exported batch of 1 broadcasting does it, except where an operator has none.
        """
        axis = self._operand_axis(call)
        if axis is None or (self._reference == 1 and call.operator not in _STRICT):
            return call
        if call.operator == "Concat" and axis.dim == _positive(call.attribute("axis", 1), call):
            return call
        # Broadcasting aligns shapes at their ends.
        from_end = next(len(v.shape) for v in call.inputs if v is not None and v.name in self._axes) - axis.dim
        inputs = tuple(
            self._grown(value, from_end) if _per_sample(call, position, from_end) else value
            for position, value in enumerate(call.inputs)
        )
        return replace(call, inputs=inputs)

    def forms(self, node: onnx.NodeProto, call: Call, forms: Forms | None) -> Forms | None:
        """The forms at the new batch; also records where each output carries it."""
        source = self._source(call)
        if source is not None and key_of(call.domain, call.operator) not in DESCRIBE:
            forms = self._declared(node, source, forms)
        elif source is not None and call.domain == "":
            if call.operator in KEEP_ORDER:
                forms = self._reordered(node, source, forms)
            elif call.operator in _SIZED:
                forms = self._sized(node, source, forms)
            elif call.operator == "Gather" and call.inputs[0] is source:
                forms = self._restrided(node, call, source, forms)
        elif forms is None and call.operator == "Expand":
            forms = self._expanded(call)
        if forms is not None:
            self._record(node, call, forms)
        return forms

    def _source(self, call: Call) -> Value | None:
        """The first operand if it carries the batch."""
        source = call.value(0)
        return source if source is not None and source.name in self._axes else None

    def _operand_axis(self, call: Call) -> BatchAxis | None:
        for value in call.inputs:
            if value is not None and value.name in self._axes:
                return self._axes[value.name]
        return None

    def _grown(self, value: Value | None, from_end: int) -> Value | None:
        if value is None or not value.constant or value.name in self._axes or from_end > len(value.shape):
            return value
        dim = len(value.shape) - from_end
        if value.shape[dim] != self._reference:
            return value
        shape = (*value.shape[:dim], self._batch, *value.shape[dim + 1 :])
        return replace(value, spec=replace(value.spec, shape=shape), data=None, stored=value.weight)

    def _reordered(self, node: onnx.NodeProto, source: Value, forms: Forms | None) -> Forms | None:
        """A reshape: the batch keeps its stride.

        A dimension that was the batch itself is it again, whatever a -1 elsewhere in the target says now;
        otherwise what inference says is kept where it agrees, and corrected where not.
        """
        name = node.output[0]
        before, axis = self._before[name].shape, self._axes[source.name]
        place = carried_through(self._before[source.name].shape, axis, before, self._reference, self._in_blocks)
        merged = place is None or before[place.dim] != self._reference
        if merged and self._keeps_stride(before, axis.stride(source.shape), forms):
            return forms
        shape = None if place is None else self._scaled(before, place.dim)
        if shape is None:
            raise ModelError(
                f"node {label(node)} mixes the batch of {self._reference} with other "
                f"dimensions, so --batch {self._batch} cannot be carried through it; export the model with a "
                "symbolic batch"
            )
        return ((shape, source.spec.element),)

    def _keeps_stride(self, before: Shape, stride: int, forms: Forms | None) -> bool:
        """Whether an inferred result differs in the one dimension that can hold the batch."""
        shape = forms[0][0] if forms and forms[0] is not None else ()
        moved = changed_dims(before, shape) if len(shape) == len(before) else []
        return len(moved) == 1 and holds(shape, moved[0], stride, self._batch)

    def _sized(self, node: onnx.NodeProto, source: Value, forms: Forms | None) -> Forms | None:
        """A target size: the batch's dimension keeps the share that it had of the source's."""
        before, was = self._before[node.output[0]].shape, self._before[source.name].shape
        from_end = len(was) - self._axes[source.name].dim
        dim = len(before) - from_end
        if dim < 0 or before[dim] != was[len(was) - from_end]:
            return forms
        shape = self._scaled(before, dim)
        return forms if shape is None else ((shape, source.spec.element), *(forms or ())[1:])

    def _expanded(self, call: Call) -> Forms | None:
        """A constant of the old batch (an initial state) expanded to a size that was computed from the new one."""
        source, target = call.value(0), call.integers(1, "shape")
        if source is None or target is None or len(target) != len(source.shape):
            return None
        fits = all(
            was in (1, now) or (was == self._reference and now == self._batch)
            for was, now in zip(source.shape, target, strict=True)
        )
        return ((target, source.spec.element),) if fits else None

    def _declared(self, node: onnx.NodeProto, source: Value, forms: Forms | None) -> Forms | None:
        """An operator that nobody knows keeps the shapes that the file declares, at the exported batch."""
        axis = self._axes[source.name]
        was = self._before[source.name].shape[axis.dim]
        result = []
        for form in forms or ():
            carries = form is not None and len(form[0]) > axis.dim and form[0][axis.dim] == was
            shape = self._scaled(form[0], axis.dim) if form is not None and carries else None
            result.append(form if shape is None or form is None else (shape, form[1]))
        return tuple(result) or None

    def _restrided(self, node: onnx.NodeProto, call: Call, source: Value, forms: Forms | None) -> Forms | None:
        """A gather with one constant index per element of the batch's dimension: a view with other strides."""
        indices = call.inputs[1]
        before, was = self._before[node.output[0]].shape, self._before[source.name].shape
        axis = self._axes[source.name]
        picked = int(call.attribute("axis", 0)) % max(len(was), 1)
        if indices is None or not indices.constant or picked != axis.dim:
            return forms
        if indices.spec.elements != was[picked]:
            return forms
        place = carried_through(was, axis, before, self._reference, self._in_blocks)
        shape = None if place is None else self._scaled(before, place.dim)
        return forms if shape is None else ((shape, source.spec.element),)

    def _scaled(self, shape: Shape, dim: int) -> Shape | None:
        return scaled(shape, dim, self._batch, self._reference)

    def _record(self, node: onnx.NodeProto, call: Call, forms: Forms) -> None:
        for name, form in zip(node.output, forms, strict=True):
            before = self._before.get(name)
            if not name or form is None or before is None or len(before.shape) != len(form[0]):
                continue
            moved = changed_dims(before.shape, form[0])
            if len(moved) == 1:
                self._axes[name] = self._axis(call, before.shape, form[0], moved[0])

    def _axis(self, call: Call, before: Shape, after: Shape, dim: int) -> BatchAxis:
        """The batch's place inside the one dimension that changed."""
        if call.operator in KEEP_ORDER or call.operator == "Gather":
            source = self._source(call)
            if source is not None:
                stride, below = self._axes[source.name].stride(source.shape), _below(after, dim)
                if stride % below == 0:
                    return BatchAxis(dim, stride // below)
        for value in call.inputs:
            if value is not None and value.name in self._axes:
                axis = self._axes[value.name]
                if value.shape[axis.dim] == after[dim]:
                    return BatchAxis(dim, axis.inner)
        return BatchAxis(dim, before[dim] // self._reference)


def _per_sample(call: Call, position: int, from_end: int) -> bool:
    """Whether an operand has one entry per sample where another operand carries the batch ``from_end``."""
    if call.domain:
        return False
    if call.operator == "MatMul":
        return from_end > 2  # the last two dimensions are those of a matrix
    return call.operator in _PAIRING or position in _STATES.get(call.operator, ())


def _below(shape: Shape, dim: int) -> int:
    product = 1
    for size in shape[dim + 1 :]:
        product *= size
    return product


def _positive(axis: int, call: Call) -> int:
    rank = max(len(v.shape) for v in call.inputs if v is not None)
    return axis % max(rank, 1)


def prove(before: Walked, after: Walked, reference: int, batch: int, batched: Iterable[str]) -> None:
    """Accept a re-batched model only if all that depends on the batch grew exactly with it.

    Every layer's macs at ``batch`` equal ``batch / reference`` times those before, and so do the elements of
    every tensor that depends on a batched input.

    Raises:
        ModelError: they do not; names the first node.
    """
    if [layer.name for layer in before.layers] != [layer.name for layer in after.layers]:
        raise ModelError(
            f"at --batch {batch} the model runs other nodes than at its exported batch of {reference}; "
            "export it with that batch"
        )
    depends = set(batched)
    for old, new in zip(before.layers, after.layers, strict=True):
        if not any(tensor.name in depends for tensor in new.inputs):
            _expect(old, new, 1, 1, reference, batch)
            continue
        depends.update(tensor.name for tensor in new.outputs)
        _expect(old, new, batch, reference, reference, batch)


def _expect(old: Layer, new: Layer, times: int, over: int, reference: int, batch: int) -> None:
    macs = new.macs * over == old.macs * times
    elements = all(b.elements * over == a.elements * times for a, b in zip(old.outputs, new.outputs, strict=True))
    if macs and elements and type(old.work) is type(new.work):
        return
    if macs and elements and not (old.macs or new.macs):
        return  # a copy of dimensions of size 1 is a view until the batch grows
    grown = new.macs / old.macs if old.macs else new.outputs[0].elements / max(old.outputs[0].elements, 1)
    raise ModelError(
        f"node {new.name!r} ({new.operator}) grows {grown:g}-fold instead of {times / over:g}-fold from the "
        f"exported batch of {reference} to --batch {batch}; export the model with a symbolic batch or with "
        "that batch"
    )
