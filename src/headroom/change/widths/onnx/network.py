"""An ONNX graph as a PyTorch module: layers with weights become PyTorch's own, so that width groups know them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from headroom.change.widths.onnx.operators import run
from headroom.errors import ModelError

#: Where an initializer went: the name of its module's tensor, and whether it is stored the other way round there.
Origin = tuple[str, bool]


class OnnxNetwork(nn.Module):  # type: ignore[misc]  # PyTorch's annotations are not followed
    """Runs the nodes one after the other. ``origins`` says which initializer each stored tensor came from."""

    def __init__(self, graph: onnx.GraphProto, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        self.origins: dict[str, Origin] = {}
        self.layers = nn.ModuleDict()
        self.tensors = nn.ParameterDict()
        self._constants: dict[str, Tensor] = {}
        self._nodes = [(node, attributes(node)) for node in graph.node]
        self._layer_of: dict[int, str] = {}
        self._arrays = dict(arrays)
        self._shared: dict[str, nn.Parameter] = {}
        self._outputs = [each.name for each in graph.output]
        self._inputs = [each.name for each in graph.input if each.name not in arrays]
        for number, (node, values) in enumerate(self._nodes):
            layer = self._layer(node, values)
            if layer is not None:
                name = self._free_name(node)
                self.layers[name] = layer
                self._layer_of[number] = name
                self._note(name, node, layer)
        for name in dict.fromkeys(name for name in self._read() if name in arrays):
            self._keep(name)
        del self._arrays, self._shared

    @property
    def layer_nodes(self) -> dict[str, onnx.NodeProto]:
        """The node of each layer, by the layer's name."""
        return {name: self._nodes[number][0] for number, name in self._layer_of.items()}

    def _read(self) -> Iterator[str]:
        """What is read while it runs, other than the tensors that a layer holds itself."""
        for number, (node, _) in enumerate(self._nodes):
            yield from node.input[:1] if number in self._layer_of else node.input
        yield from self._outputs

    def _free_name(self, node: onnx.NodeProto) -> str:
        name = re.sub(r"\W+", "_", node.name or node.output[0]).strip("_") or "node"
        while name in self.layers or hasattr(self.layers, name):
            name += "_"
        return name

    def _keep(self, name: str) -> None:
        """Store what no layer holds: parameters where channels can be; shapes, indices and single numbers as they are.

        Proofs make parameters random: a ReLU6 whose bounds were random would let hardly anything through.
        """
        array = self._arrays[name]
        if array.ndim == 0 or not np.issubdtype(array.dtype, np.floating):
            self._constants[name] = torch.from_numpy(np.array(array))
            return
        key = f"t{len(self.tensors)}"
        self.tensors[key] = self._parameter(name)
        self.origins[f"tensors.{key}"] = (name, False)

    def _parameter(self, name: str) -> nn.Parameter:
        return self._shared.setdefault(name, nn.Parameter(torch.from_numpy(np.array(self._arrays[name]))))

    def _has(self, node: onnx.NodeProto, *positions: int) -> bool:
        return all(position < len(node.input) and node.input[position] in self._arrays for position in positions)

    def _layer(self, node: onnx.NodeProto, values: Mapping[str, Any]) -> nn.Module | None:
        """PyTorch's layer for a node with stored weights; ``None`` for every other node."""
        if node.op_type in ("Conv", "ConvTranspose") and self._has(node, 1):
            return self._convolution(node, values)
        if node.op_type == "BatchNormalization" and values.get("training_mode", 0):
            raise ModelError(f"{node.name or node.output[0]} normalises as in training, export it for inference")
        if node.op_type == "BatchNormalization" and self._has(node, 1, 2, 3, 4):
            layer = _Norm(self._arrays[node.input[1]].size, eps=values.get("epsilon", 1e-5))
            layer.weight, layer.bias = self._parameter(node.input[1]), self._parameter(node.input[2])
            layer.running_mean, layer.running_var = (
                torch.from_numpy(np.array(self._arrays[node.input[position]])) for position in (3, 4)
            )
            return layer
        plain = node.op_type == "Gemm" and values.get("alpha", 1) == values.get("beta", 1) == 1
        if plain and not values.get("transA", 0) and self._has(node, 1) and (len(node.input) < 3 or self._has(node, 2)):
            return self._linear(node, turned=not values.get("transB", 0))
        if node.op_type == "MatMul" and self._has(node, 1) and self._arrays[node.input[1]].ndim == 2:
            return self._linear(node, turned=True)
        return None

    def _linear(self, node: onnx.NodeProto, *, turned: bool) -> nn.Module | None:
        weight = np.array(self._arrays[node.input[1]])
        bias = self._arrays[node.input[2]] if len(node.input) > 2 else None
        if not np.issubdtype(weight.dtype, np.floating) or (bias is not None and bias.ndim != 1):
            return None
        outputs, inputs = weight.shape[::-1] if turned else weight.shape
        layer = nn.Linear(inputs, outputs, bias=bias is not None)
        layer.weight = (
            nn.Parameter(torch.from_numpy(weight).T.contiguous()) if turned else self._parameter(node.input[1])
        )
        if bias is not None:
            layer.bias = self._parameter(node.input[2])
        return layer

    def _convolution(self, node: onnx.NodeProto, values: Mapping[str, Any]) -> nn.Module | None:
        weight = self._arrays[node.input[1]]
        rank = weight.ndim - 2
        pads = values.get("pads", [0] * 2 * rank)
        if rank not in (1, 2, 3) or values.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise ModelError(f"{node.name or node.output[0]} pads by {values.get('auto_pad')}, write its pads out")
        if pads[:rank] != pads[rank:]:
            raise ModelError(f"{node.name or node.output[0]} pads its sides differently, put a Pad node before it")
        transposed = node.op_type == "ConvTranspose"
        if "output_shape" in values:
            raise ModelError(f"{node.name or node.output[0]} asks for an output shape, write its pads out")
        kinds = (
            (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
            if transposed
            else (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        )
        if len(node.input) > 2 and node.input[2] and not self._has(node, 2):
            raise ModelError(f"{node.name or node.output[0]} has a bias that is computed, store it as an initializer")
        groups = values.get("group", 1)
        ends = (
            (weight.shape[0], weight.shape[1] * groups) if transposed else (weight.shape[1] * groups, weight.shape[0])
        )
        options: dict[str, Any] = {"output_padding": values.get("output_padding", 0)} if transposed else {}
        layer = kinds[rank - 1](
            *ends,
            weight.shape[2:],
            stride=values.get("strides", 1),
            padding=pads[:rank],
            dilation=values.get("dilations", 1),
            groups=groups,
            bias=self._has(node, 2),
            **options,
        )
        layer.weight = self._parameter(node.input[1])
        if self._has(node, 2):
            layer.bias = self._parameter(node.input[2])
        return layer

    def _note(self, name: str, node: onnx.NodeProto, layer: nn.Module) -> None:
        """Remember which initializer each of the layer's tensors is."""
        turned = node.op_type == "MatMul" or (node.op_type == "Gemm" and not attributes(node).get("transB", 0))
        attributes_of = ("weight", "bias", "running_mean", "running_var")
        for position, attribute in enumerate(attributes_of, start=1):
            if position < len(node.input) and getattr(layer, attribute, None) is not None:
                self.origins[f"layers.{name}.{attribute}"] = (node.input[position], turned and attribute == "weight")

    def forward(self, *inputs: Tensor) -> Any:
        values: dict[str, Tensor | None] = {"": None, **self._stored(), **dict(zip(self._inputs, inputs, strict=True))}
        for number, (node, named) in enumerate(self._nodes):
            if number in self._layer_of:
                found: Any = self.layers[self._layer_of[number]](_value(values, node.input[0]))
            else:
                found = run(node, named, [_value(values, name) for name in node.input])
            results = found if isinstance(found, tuple | list) else (found,)
            values.update(zip(node.output, results, strict=False))
        return tuple(_value(values, name) for name in self._outputs)

    def _stored(self) -> dict[str, Tensor]:
        """Constants by name; parameters as they now are, for a copy has its own."""
        found = dict(self._constants)
        found.update(
            {
                name: self.tensors[key.removeprefix("tensors.")]
                for key, (name, _) in self.origins.items()
                if key.startswith("tensors.")
            }
        )
        return found


def _value(values: Mapping[str, Tensor | None], name: str) -> Tensor | None:
    """What has been computed under a name.

    Raises:
        ModelError: nothing has.
    """
    if name not in values:
        raise ModelError(f"{name} is made by no node and no dense initializer; store sparse weights as dense ones")
    return values[name]


class _Norm(nn.modules.batchnorm._BatchNorm):  # type: ignore[misc]
    """BatchNorm whatever the number of axes."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  # PyTorch's name
        return


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name, strings decoded, tensors as arrays."""
    found: dict[str, Any] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        elif isinstance(value, onnx.TensorProto):
            value = numpy_helper.to_array(value)
        elif attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
            value = list(value)
        found[attribute.name] = value
    return found
