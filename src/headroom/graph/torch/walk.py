"""The walk through an exported program: from FX nodes to layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from headroom.errors import ModelError
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.torch import nodes
from headroom.graph.torch.call import Call, Operand
from headroom.graph.torch.constants import Constants
from headroom.graph.torch.operators.attention import written_out
from headroom.graph.torch.registry import described, work_of
from headroom.graph.work import Attention, Elementwise, Free, Unknown, Work

#: Views that are read exactly as their operand is: nothing happened, or values repeat along a dimension without
#: being stored. They are no layers, so that a cast to the type a tensor already has hides no pattern.
_READ_ALIKE = frozenset(
    {"expand", "expand_as", "broadcast_to", "to", "_to_copy", "type_as", "contiguous", "detach", "alias", "lift",
     "requires_grad", "resolve_conj", "resolve_neg"}
)  # fmt: skip

#: In-place operators that overwrite their target without reading it.
_OVERWRITING = frozenset({"copy", "fill", "zero", "normal", "uniform", "bernoulli", "exponential", "random"})

#: Higher-order operators that run their one subgraph as it stands, under another mode of autograd or autocast.
_TRANSPARENT = frozenset(
    {"wrap_with_set_grad_enabled", "wrap_with_autocast", "wrap", "tag_activation_checkpoint", "invoke_subgraph",
     "hints_wrapper", "wrap_activation_checkpoint"}
)  # fmt: skip

#: Why a higher-order operator cannot be timed.
_WHY_UNKNOWN = {
    "cond": "which branch runs depends on the data",
    "while_loop": "how often the loop runs depends on the data",
    "scan": "a loop whose steps are weighed once",
    "map_impl": "a loop whose steps are weighed once",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor during the walk.

    ``spec`` is what a reader of it loads from memory: the unrepeated tensor behind an ``expand``. ``constant``
    marks weights, buffers and views of them. ``storage`` is equal for views of one tensor, and ``written``
    counts the in-place writes to it that the value already holds.
    """

    spec: TensorSpec
    storage: int
    constant: bool = False
    written: int = 0


class Walk:
    """Turns FX graphs into layers. One instance reads one program; ``layers``, ``values``, ``effects`` (the
    tensors written in place, which nothing may leave out) and ``causal`` (the layers, by name, that hide future
    positions by a constant mask) grow as it goes.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.values: dict[Any, Value | tuple[Value | None, ...]] = {}
        self.effects: set[str] = set()
        self.constants = Constants()
        self.causal: set[str] = set()
        self._writes: dict[int, tuple[int, TensorSpec]] = {}
        self._names: set[str] = set()
        self._storages = 0

    def placeholder(self, node: Any, name: str, *, constant: bool, storage: int | None = None) -> TensorSpec:
        """Bind an input, a weight or a buffer. Tied weights share ``storage`` and so one name."""
        (tensor,) = nodes.tensors_of(node)
        operand = nodes.operand_of(tensor, node)
        spec = TensorSpec(name, operand.shape, operand.element)
        self._names.add(name)
        self.values[node] = Value(spec, self._storage() if storage is None else storage, constant)
        return spec

    def run(self, graph_module: Any) -> tuple[Value, ...]:
        """Read every node after the placeholders, which are bound already; return the outputs."""
        for node in graph_module.graph.nodes:
            if node.op == "call_function":
                self._call(node, graph_module)
            elif node.op == "output":
                return tuple(self._read(n) for n in nodes.nodes_in(node.args) if nodes.tensors_of(n))
        return ()

    def _call(self, node: Any, owner: Any) -> None:
        if getattr(node.target, "__name__", "") == "getitem":
            several = self.values.get(node.args[0])
            member = several[node.args[1]] if isinstance(several, tuple) else None
            if member is not None:
                self.values[node] = member
        elif nodes.is_operator(node):
            self._operator(node)
            self.constants.follow(node)
        elif getattr(node.target, "__name__", "") == "_add_batch_dim":
            raise ModelError(
                f"torch.func.vmap in module {nodes.module_path(node) or '(the outermost)'} (flex_attention uses it "
                "too) hides its batch from the export; write the batch dimension out, or use "
                "scaled_dot_product_attention"
            )
        elif nodes.tensors_of(node):
            self._higher_order(node, owner)

    def _operator(self, node: Any) -> None:
        if not nodes.tensors_of(node):
            return  # an assertion, or a size read by the host: nothing that a GPU would run
        arguments = nodes.named_arguments(node)
        call = nodes.call_of(node, arguments)
        in_place = nodes.writes_in_place(node)
        work = work_of(call)
        hides_the_future = self.constants.hides_the_future(node)
        if isinstance(work, Attention) and hides_the_future:
            work = replace(work, causal=True, masked=False)
            arguments["attn_mask"] = None  # a fused implementation knows this mask
        operands = [self._read(n) for n in nodes.nodes_in(arguments.values()) if n in self.values]
        target = operands[0] if in_place and operands else None
        if target is not None and call.operator in _OVERWRITING:
            operands = operands[1:]
        if isinstance(work, Free) and operands:
            self._view(node, call, work, operands)
        elif call.operator == "baddbmm" and target is None:
            self._product_and_sum(node, call, work, operands)
        else:
            self._layer(node, call, work, operands, target)
        if hides_the_future:
            self.causal.add(self.layers[-1].name)

    def _view(self, node: Any, call: Call, work: Work, operands: list[Value]) -> None:
        """A free layer; a view of a weight is that weight."""
        source = operands[0]
        if call.operator in _READ_ALIKE:
            self.values[node] = source
            return
        specs = self._specs(node, call.outputs)
        if source.constant:
            self._bind(node, [_view_of_weight(source, spec) for spec in specs])
            return
        self._append(node, call.operator, work, operands, specs)
        self._bind(node, [Value(spec, source.storage, written=source.written) for spec in specs])

    def _product_and_sum(self, node: Any, call: Call, work: Work, operands: list[Value]) -> None:
        """A batched product and the mask added to it, apart: as such they are recognised as attention."""
        added, left, right = operands
        specs = self._specs(node, call.outputs)
        product = TensorSpec(self._unique(f"{node.name}.product"), specs[0].shape, specs[0].element)
        self._append(node, "bmm", work, [left, right], (product,))
        total = Elementwise("add", specs[0].elements)
        self._append(node, "add", total, [Value(product, self._storage()), added], specs)
        self._bind(node, [Value(specs[0], self._storage())])

    def _layer(self, node: Any, call: Call, work: Work, operands: list[Value], target: Value | None) -> None:
        specs = self._specs(node, call.outputs)
        self._append(node, call.operator, work, operands, specs)
        if target is None:
            self._bind(node, [Value(spec, self._storage()) for spec in specs])
            return
        count = self._writes.get(target.storage, (0, None))[0] + 1
        self._writes[target.storage] = (count, specs[0])
        self.effects.add(specs[0].name)
        self._bind(node, [Value(spec, target.storage, written=count) for spec in specs])

    def _read(self, node: Any) -> Value:
        """The value of a node, after whatever was written in place to a tensor that it shares memory with."""
        value = self.values[node]
        assert isinstance(value, Value), f"{node} is read as one tensor but has several"
        count, writer = self._writes.get(value.storage, (0, value.spec))
        if count <= value.written:
            return value
        # ``x[:, 0] = y`` writes through a view: a later reader of x depends on the write as well.
        name = self._unique(f"{value.spec.name}_updated")
        merged = Value(TensorSpec(name, value.spec.shape, value.spec.element), value.storage, written=count)
        source = Value(writer, value.storage)
        self._append(node, "alias", Free("alias"), [value, source], (merged.spec,))
        self.values[node] = merged
        return merged

    def _append(
        self, node: Any, operator: str, work: Work, operands: list[Value], outputs: tuple[TensorSpec, ...]
    ) -> None:
        qualified = operator if "::" in operator else f"aten.{operator}"
        self.layers.append(
            Layer(
                name=outputs[0].name,  # naming.py gives the final one, which needs all layers
                operator=qualified,
                work=work,
                inputs=_once(value.spec for value in operands if not value.constant),
                weights=_once(value.spec for value in operands if value.constant),
                outputs=outputs,
                module=nodes.module_path(node),
                parts=_parts(work, operands, outputs[0]),
            )
        )

    def _higher_order(self, node: Any, owner: Any) -> None:
        name = str(node.target)
        subgraphs = [getattr(owner, n.target) for n in nodes.nodes_in(node.args) if n.op == "get_attr"]
        operands = [n for n in nodes.nodes_in(node.args) if n in self.values]
        if name in _TRANSPARENT and len(subgraphs) == 1:
            self._inline(node, subgraphs[0], operands)
            return
        outputs = tuple(nodes.operand_of(tensor, node) for tensor in nodes.tensors_of(node))
        read = [self._read(n) for n in operands]
        reason = _WHY_UNKNOWN.get(name, "no reader for this operator")
        heaviest = max((_macs_inside(subgraph) for subgraph in subgraphs), default=0)
        work = Unknown(name, f"{reason}; it writes {described(outputs)}", estimated_macs=heaviest)
        specs = self._specs(node, outputs)
        self._append(node, f"higher_order::{name}", work, read, specs)
        self._bind(node, [Value(spec, self._storage()) for spec in specs])

    def _inline(self, node: Any, subgraph: Any, operands: list[Any]) -> None:
        bound = [self._read(n) for n in operands]
        placeholders = [n for n in subgraph.graph.nodes if n.op == "placeholder"]
        self.values.update(zip(placeholders, bound, strict=True))
        self._bind(node, list(self.run(subgraph)))

    def _specs(self, node: Any, outputs: tuple[Operand, ...]) -> tuple[TensorSpec, ...]:
        if len(outputs) == 1:
            return (TensorSpec(self._unique(node.name), outputs[0].shape, outputs[0].element),)
        return tuple(
            TensorSpec(self._unique(f"{node.name}.{i}"), out.shape, out.element) for i, out in enumerate(outputs)
        )

    def _bind(self, node: Any, values: list[Value]) -> None:
        """Give the node its tensors, at the places where its result has tensors and not numbers or nothing."""
        result = node.meta.get("val")
        if not isinstance(result, tuple | list):
            self.values[node] = values[0]
            return
        tensors = iter(values)
        self.values[node] = tuple(next(tensors) if nodes.is_tensor(member) else None for member in result)

    def _unique(self, name: str) -> str:
        """Subgraphs number their nodes anew, so that a name may come back."""
        chosen, count = name, 0
        while chosen in self._names:
            count += 1
            chosen = f"{name}_{count}"
        self._names.add(chosen)
        return chosen

    def _storage(self) -> int:
        """A fresh number, negative so that it never equals an address in memory."""
        self._storages -= 1
        return self._storages


def _parts(work: Work, operands: list[Value], output: TensorSpec) -> tuple[Layer, ...]:
    if not isinstance(work, Attention):
        return ()
    constants = [value.spec for value in operands if value.constant]
    return written_out(work, [value.spec for value in operands], constants, output)


def _once(specs: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Each tensor once, in order: ``x * x`` loads x once."""
    return tuple({spec.name: spec for spec in specs}.values())


def _view_of_weight(source: Value, view: TensorSpec) -> Value:
    """All of a weight in another shape keeps its name, so that memory counts it once; a part gets its own."""
    name = source.spec.name if view.elements == source.spec.elements else f"{source.spec.name}[{view.name}]"
    return Value(TensorSpec(name, view.shape, view.element), source.storage, True, source.written)


def _macs_inside(subgraph: Any) -> int:
    """Multiply-adds of one run of a branch or loop body: what an unknown layer weighs in the coverage."""
    walk = Walk()
    for node in subgraph.graph.nodes:
        if node.op == "placeholder" and nodes.tensors_of(node):
            walk.placeholder(node, node.name, constant=False)
    walk.run(subgraph)
    return sum(layer.work.estimated_macs if isinstance(layer.work, Unknown) else layer.macs for layer in walk.layers)
