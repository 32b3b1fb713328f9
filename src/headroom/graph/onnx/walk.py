"""The walk through a model: node by node, carrying what is known of every tensor.

Nodes whose operands are all constants become constants themselves (weight plumbing, computed shapes);
every other node becomes a layer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from headroom.errors import ModelError
from headroom.graph.layer import Layer
from headroom.graph.onnx import limits
from headroom.graph.onnx.call import Call, Value
from headroom.graph.onnx.causal import hides_the_future
from headroom.graph.onnx.control import Site
from headroom.graph.onnx.elements import element_name
from headroom.graph.onnx.fold import fold, shape_of
from headroom.graph.onnx.inline import function_body, function_key
from headroom.graph.onnx.lower import lowered
from headroom.graph.onnx.modules import module_of
from headroom.graph.onnx.operators import DESCRIBE
from headroom.graph.onnx.operators.registry import Form, key_of
from headroom.graph.onnx.operators.unsupported import unknown
from headroom.graph.onnx.plumbing import constant_of, split_operands, stored_under, weight
from headroom.graph.onnx.shapes import ShapeInference, label
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Work

#: Operators that give something new on every run although their operands are constant.
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)

#: Operators whose result has the elements of their first operand, in the same order in memory.
KEEP_ORDER = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})

#: How many bodies may stand inside each other (functions, branches, loops).
_DEPTH = 32

#: Values whose contents are kept in one walk, equal contents once. Masks of long sequences need the most.
_CONTENTS = 1 << 23

#: Contents of at most this many values are always kept: shapes are computed with them, and nodes are few.
_ALWAYS_KEPT = 1 << 8

#: Values that one walk computes with, beyond those of shapes; bounds its time.
_COMPUTED = 1 << 28

#: How a node that lacks an operand or an attribute, or has one of the wrong kind or size, shows itself.
_MISFITS = (LookupError, ValueError, TypeError, ArithmeticError, AttributeError, AssertionError)

Forms = tuple[Form | None, ...]


class Repair(Protocol):
    """Corrects what a node writes when constants in the file belong to another batch."""

    def forms(self, node: onnx.NodeProto, call: Call, forms: Forms | None) -> Forms | None:
        """Forms to use; ``forms`` is what inference says, ``None`` where it refused."""
        ...

    def operands(self, node: onnx.NodeProto, call: Call) -> Call:
        """The call with operands corrected."""
        ...


@dataclass(frozen=True)
class Walked:
    """Result of a walk.

    ``values`` holds every tensor by name; ``causal`` names the layers that hide future positions of their operand.
    """

    layers: tuple[Layer, ...]
    outputs: tuple[TensorSpec, ...]
    values: Mapping[str, Value]
    notes: tuple[str, ...]
    causal: frozenset[str] = frozenset()


@dataclass
class Walk:
    """One walk. Create it for a model with its inputs pinned, call :meth:`run` once.

    ``as_exported`` says that every size is the file's own: a contradiction is then the file's, and noted.
    """

    model: onnx.ModelProto
    inputs: tuple[TensorSpec, ...]
    repair: Repair | None = None
    as_exported: bool = False
    values: dict[str, Value] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.model.opset_import}
        graph = self.model.graph
        declared = {
            info.name: info.type
            for info in (*graph.value_info, *graph.output)
            if info.type.tensor_type.HasField("shape")
        }
        self._inference = ShapeInference(opsets, declared)
        self._functions = {function_key(f.domain, f.name, f.overload): f for f in self.model.functions}
        self._names: dict[str, int] = {}
        self._nodes_left = limits.NODES
        self._bytes_left = limits.SKELETON_BYTES
        self._contents_left = _CONTENTS
        self._computed_left = _COMPUTED
        self._contents: dict[tuple[str, tuple[int, ...], bytes], NDArray[Any]] = {}
        self._bodies = 0
        self._contradictions: list[str] = []
        self._causal: set[str] = set()

    def run(self) -> Walked:
        """Walk through the whole graph.

        Raises:
            ModelError: a node does not fit its operands, or reads what nothing before it writes.
        """
        graph = self.model.graph
        self.add_constants(graph.initializer)
        for sparse in graph.sparse_initializer:
            spec = TensorSpec(sparse.values.name, tuple(sparse.dims), element_name(sparse.values.data_type))
            self.values[spec.name] = Value(spec, constant=True)
        for spec in self.inputs:
            self.values[spec.name] = Value(spec)
        self.walk(graph.node)
        if self._contradictions:
            count, first = len(self._contradictions), self._contradictions[0]
            self.notes.append(f"the file contradicts itself at {count} reshapes, first where {first}")
        notes = tuple(dict.fromkeys(self.notes))
        return Walked(tuple(self.layers), self._outputs(), self.values, notes, frozenset(self._causal))

    def _outputs(self) -> tuple[TensorSpec, ...]:
        missing = [out.name for out in self.model.graph.output if out.name not in self.values]
        if missing:
            raise ModelError(f"no node writes the model's output {missing[0]!r}; export the model again")
        return tuple(self.values[out.name].spec for out in self.model.graph.output)

    def add_constants(self, tensors: Iterable[onnx.TensorProto]) -> None:
        """Initializers, of the graph or of a body."""
        self.values.update((tensor.name, weight(tensor, tensor.name)) for tensor in tensors)

    def add(self, layer: Layer) -> None:
        """A layer that is complete; its outputs become known."""
        for spec in layer.outputs:
            self.values[spec.name] = Value(spec)
        self.layers.append(replace(layer, name=self._unique(layer.name)))

    def opset(self, domain: str) -> int:
        return self._inference.opset(domain)

    def walk(self, nodes: Iterable[onnx.NodeProto], depth: int = 0, module: str = "") -> None:
        """Take nodes in order; ``module`` is where they come from if they do not tell themselves."""
        for node in nodes:
            self._nodes_left -= 1
            if self._nodes_left < 0 or depth > _DEPTH:
                raise ModelError(
                    f"node {label(node)} expands into too much (over {limits.NODES} nodes or {_DEPTH} levels); "
                    "export the model with its functions and loops simplified"
                )
            if depth:
                self._spend(node)
            try:
                self._visit(node, depth, module)
            except _MISFITS as error:
                raise ModelError(
                    f"node {label(node)} cannot be understood: {_sentence(error)}; export the model again"
                ) from error

    def _spend(self, node: onnx.NodeProto) -> None:
        """Bodies are copied each time they are put in place: a small file could ask for endless memory."""
        self._bytes_left -= node.ByteSize()
        if self._bytes_left < 0:
            raise ModelError(
                f"node {label(node)} is repeated until the model is larger than {limits.SKELETON_BYTES} bytes; "
                "export the model with its functions and loops simplified"
            )

    def _prefix(self, node: onnx.NodeProto) -> str:
        """A prefix for the names inside a body that no other body gets."""
        self._bodies += 1
        return f"{node.name or node.op_type}.{self._bodies}/"

    def _visit(self, node: onnx.NodeProto, depth: int, module: str) -> None:
        domain = "" if node.domain == "ai.onnx" else node.domain
        function = self._functions.get(function_key(domain, node.op_type, node.overload))
        here = module_of(node) or module
        if function is not None:
            self.walk(function_body(function, node, self._prefix(node)), depth + 1, here)
            return
        call = self._call(node, domain)
        if lowered(Site(self, node, call, depth, here, self._prefix)):
            return
        if not self._fold(node, call):
            self._add_layer(node, call, here)

    def _call(self, node: onnx.NodeProto, domain: str) -> Call:
        operands = tuple(self._operand(name, node) if name else None for name in node.input)
        attributes = {
            attribute.name: onnx.helper.get_attribute_value(attribute)
            for attribute in node.attribute
            if not attribute.ref_attr_name
        }
        name = node.name or f"{node.op_type}:{next(iter(node.output), '')}"
        opset = self._inference.opset(domain)
        outputs = (None,) * len(node.output)
        return Call(node.op_type, domain, opset, name, attributes, operands, outputs, self.notes)

    def _operand(self, name: str, node: onnx.NodeProto) -> Value:
        value = self.values.get(name)
        if value is None:
            raise ModelError(
                f"node {label(node)} reads {name!r}, which nothing before it writes; export the model again"
            )
        return value

    def _fold(self, node: onnx.NodeProto, call: Call) -> bool:
        """Make the node's results constants if nothing it reads depends on the model's inputs."""
        if call.operator in ("Shape", "Size") and call.domain == "":
            sizes = shape_of(call) if call.operator == "Shape" else np.array(np.prod(call.shape(0)), np.int64)
            self.set_data(node.output[0], sizes)
            return True
        if call.operator == "Constant" and call.domain == "":
            self._set_constant(node, call)
            return True
        if call.operator in _RANDOM or any(v is not None and not v.constant for v in call.inputs):
            return False
        results = fold(call) if self._affordable(call.elements_known) else None
        if results is not None and len(results) >= sum(bool(name) for name in node.output):
            for name, data in zip(node.output, results, strict=False):
                if name:
                    self.set_data(name, data, call)
            return True
        self._set_plumbing(node, call)
        return True

    def set_data(self, name: str, data: NDArray[Any], call: Call | None = None) -> None:
        """A constant whose contents are known."""
        spec = TensorSpec(name, data.shape, data.dtype.name)
        self.values[name] = Value(spec, constant=True, data=self._kept(data), stored=stored_under(call))

    def _affordable(self, values: int) -> bool:
        """Whether there is time left to compute with that many values."""
        if values > _ALWAYS_KEPT:
            self._computed_left -= values
        return values <= _ALWAYS_KEPT or self._computed_left >= 0

    def _kept(self, data: NDArray[Any]) -> NDArray[Any] | None:
        """The contents, or ``None`` past a budget, so that memory stays bounded.

        Exporters compute the same mask anew in every layer: equal contents are kept, and charged, once.
        """
        if data.size <= _ALWAYS_KEPT:
            return data
        if not self._affordable(data.size):
            return None
        key = (data.dtype.str, data.shape, hashlib.sha256(np.ascontiguousarray(data).tobytes()).digest())
        if key not in self._contents:
            if data.size > self._contents_left:
                return None
            self._contents_left -= data.size
            self._contents[key] = data
        return self._contents[key]

    def _set_plumbing(self, node: onnx.NodeProto, call: Call) -> None:
        """Constants too large to compute: only their shapes are tracked."""
        for name, form in zip(node.output, self._checked_forms(node, call), strict=True):
            if name and form is not None:
                self.values[name] = Value(TensorSpec(name, *form), constant=True, stored=stored_under(call))

    def _set_constant(self, node: onnx.NodeProto, call: Call) -> None:
        value = constant_of(call, node.output[0])
        if value is None:
            self._set_plumbing(node, call)
        elif value.data is None:
            self.values[value.name] = value
        else:
            self.set_data(value.name, value.data)

    def _forms(self, node: onnx.NodeProto, call: Call) -> Forms:
        if self.repair is None:
            return self._inference.forms(node, call)
        forms: Forms | None
        try:
            forms, refusal = self._inference.forms(node, call), None
        except ModelError as error:
            forms, refusal = None, error
        repaired = self.repair.forms(node, call, forms)
        if repaired is None:
            raise ModelError(
                f"{refusal or f'the shape that node {label(node)} writes cannot be known'}; it does at the exported "
                "batch, so export the model with a symbolic batch or with that batch"
            )
        return repaired

    def _checked_forms(self, node: onnx.NodeProto, call: Call) -> Forms:
        """Forms that keep the number of elements where the operator does; inference does not look at that."""
        forms = self._forms(node, call)
        source = call.value(0)
        if call.operator in KEEP_ORDER and call.domain == "" and source is not None and forms[0] is not None:
            before, after = source.spec.elements, math.prod(forms[0][0])
            if before != after and not self.as_exported:
                raise ModelError(
                    f"node {label(node)} makes {after} elements out of {before}: a size from the export is "
                    "written into it; export the model with that dimension symbolic, or keep the exported size"
                )
            if before != after:
                self._contradictions.append(f"node {label(node)} makes {after} elements out of {before}")
        return forms

    def _add_layer(self, node: onnx.NodeProto, call: Call, module: str) -> None:
        if self.repair is not None:
            call = self.repair.operands(node, call)
        forms = self._checked_forms(node, call)
        outputs = tuple(
            TensorSpec(name, *form) if name and form is not None else None
            for name, form in zip(node.output, forms, strict=True)
        )
        call = replace(call, outputs=outputs)
        if not any(outputs):
            return
        inputs, weights = split_operands(call)
        self.add(
            Layer(
                name=call.name,
                operator=key_of(call.domain, call.operator),
                work=_describe(call),
                inputs=inputs,
                weights=weights,
                outputs=tuple(spec for spec in outputs if spec is not None),
                module=module,
            )
        )
        if self._affordable(call.elements_known) and hides_the_future(call):
            self._causal.add(self.layers[-1].name)

    def _unique(self, name: str) -> str:
        unique = name
        while unique in self._names:
            self._names[name] += 1
            unique = f"{name}~{self._names[name]}"
        self._names[unique] = 1
        return unique


def _describe(call: Call) -> Work:
    describe = DESCRIBE.get(key_of(call.domain, call.operator))
    if describe is None:
        return unknown(call, f"no reader knows the operator {key_of(call.domain, call.operator)}")
    return describe(call)


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())[:160]
    return text or f"an operand or attribute is missing ({type(error).__name__})"
