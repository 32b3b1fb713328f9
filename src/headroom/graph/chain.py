"""What the stopwatch runs: one layer, or a chain of layers that run as one, free of the model it came from.

Two chains are equal when any implementation would run them alike: the same work on tensors of the same shapes,
wired in the same way. Their digest is the layer's part of the key in the performance database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.serial import layers_from_json, layers_to_json
from headroom.graph.tensor import FIXED_WIDTH_BYTES, DataType, TensorSpec

#: Element type of every floating-point tensor of a chain: it follows the data type of the run.
FLOATING = "float"


@dataclass(frozen=True)
class Chain:
    """Layers in order, each but the first reading what its predecessor wrote; made by :meth:`of`.

    Tensors are named ``t0``, ``t1``, … in order of first appearance; names of layers and modules are empty.
    """

    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Chain:
        """The chain of ``layers`` as they stand in a model."""
        names: dict[str, str] = {}
        numbers = count()

        def number(name: str) -> str:
            if name not in names:
                names[name] = f"t{next(numbers)}"
            return names[name]

        def anonymous(tensors: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
            return tuple(_anonymous(tensor, number(tensor.name)) for tensor in tensors)

        def distinct(tensors: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
            # Exporters keep equal constants once: whether a scale happens to equal a variance says nothing of time.
            return tuple(_anonymous(tensor, f"t{next(numbers)}") for tensor in tensors)

        return cls(
            tuple(
                replace(
                    layer,
                    name="",
                    operator="",
                    module="",
                    parts=(),
                    inputs=anonymous(layer.inputs),
                    weights=distinct(layer.weights),
                    outputs=anonymous(layer.outputs),
                )
                for layer in layers
            )
        )

    @property
    def anchor(self) -> Layer:
        """The first layer: what decides which libraries can run the chain."""
        return self.layers[0]

    @property
    def is_fused(self) -> bool:
        return len(self.layers) > 1

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Activations that come from outside, each once, in order."""
        made = {tensor.name for layer in self.layers for tensor in layer.outputs}
        read = {tensor.name: tensor for layer in self.layers for tensor in layer.inputs}
        return tuple(tensor for name, tensor in read.items() if name not in made)

    @cached_property
    def weights(self) -> tuple[TensorSpec, ...]:
        """Constants, each once, in order."""
        return tuple({tensor.name: tensor for layer in self.layers for tensor in layer.weights}.values())

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What the last layer hands on; nothing inside the chain is read from elsewhere."""
        return self.layers[-1].outputs

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    def bytes(self, dtype: DataType) -> int:
        """Compulsory traffic: every tensor from or to the outside once."""
        return sum(tensor.bytes(dtype) for tensor in (*self.inputs, *self.weights, *self.outputs))

    @property
    def title(self) -> str:
        """``convolution + batch norm + relu``."""
        return " + ".join(layer.step for layer in self.layers)

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits that tell this chain from any other, the same on every machine."""
        text = json.dumps(self.to_json(), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_json(self) -> Any:
        """Plain lists, strings and numbers."""
        return layers_to_json(self.layers)

    @classmethod
    def from_json(cls, data: Any) -> Chain:
        """The chain that :meth:`to_json` was given.

        Raises:
            ModelError: a value is missing, of the wrong type or out of range.
        """
        return cls(layers_from_json(data))


def _anonymous(tensor: TensorSpec, name: str) -> TensorSpec:
    return TensorSpec(name, tensor.shape, tensor.element if tensor.element in FIXED_WIDTH_BYTES else FLOATING)


def graph_digest(graph: Graph) -> str:
    """32 hexadecimal digits that tell a model at one batch from any other, whatever its tensors are called."""
    return Chain.of(graph.working_layers).digest
