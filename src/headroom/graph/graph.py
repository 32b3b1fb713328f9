"""A model: layers in an order that can run, and what follows from their edges."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Unknown


@dataclass(frozen=True)
class Configuration:
    """Identical layers, as one: the first of them stands for all. ``members`` index ``Graph.layers``."""

    layer: Layer
    members: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.members)


@dataclass(frozen=True)
class Coverage:
    """How much of a model is known. Shares are of nodes that do work, and of multiply-adds."""

    known_share: float
    known_macs_share: float
    unknown_layers: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A model with static shapes.

    ``layers`` stand in topological order and include the free ones (views), so that every edge of the
    model can be followed. ``batch`` is the number of samples that the shapes hold.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batch: int
    notes: tuple[str, ...] = ()

    @cached_property
    def remembered(self) -> dict[Hashable, Any]:
        """What other modules found of this graph alone and would find again, each under a key of its own."""
        return {}

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> int:
        return sum(layer.flops for layer in self.layers)

    @cached_property
    def working_layers(self) -> tuple[Layer, ...]:
        """The layers that launch something, in order."""
        return tuple(layer for layer in self.layers if layer.kind.does_work)

    @cached_property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Per layer, the indices of the layers whose outputs it reads."""
        producer = {tensor.name: i for i, layer in enumerate(self.layers) for tensor in layer.outputs}
        return tuple(
            tuple(sorted({producer[t.name] for t in layer.inputs if producer.get(t.name, i) < i}))
            for i, layer in enumerate(self.layers)
        )

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """Working layers grouped by configuration, in order of first appearance."""
        members: dict[object, list[int]] = {}
        for index, layer in enumerate(self.layers):
            if layer.kind.does_work:
                members.setdefault(layer.configuration, []).append(index)
        return tuple(Configuration(self.layers[group[0]], tuple(group)) for group in members.values())

    @cached_property
    def configuration_of(self) -> Mapping[int, int]:
        """Index of a working layer's configuration; free layers are absent."""
        return {member: at for at, alike in enumerate(self.configurations) for member in alike.members}

    @cached_property
    def coverage(self) -> Coverage:
        unknown = [layer for layer in self.working_layers if isinstance(layer.work, Unknown)]
        guessed = sum(layer.work.estimated_macs for layer in unknown if isinstance(layer.work, Unknown))
        nodes, macs = len(self.working_layers), self.macs
        return Coverage(
            known_share=1.0 if nodes == 0 else 1.0 - len(unknown) / nodes,
            known_macs_share=1.0 if macs + guessed == 0 else macs / (macs + guessed),
            unknown_layers=tuple(layer.name for layer in unknown),
        )

    def critical_path(self, times: Sequence[float]) -> tuple[float, tuple[int, ...]]:
        """Longest path through the model when layer ``i`` takes ``times[i]``: its length and its layers.

        This is Benanza's ``LBL_parallel`` when the times are each layer's fastest.
        """
        finish: list[float] = []
        via: list[int] = []
        for index, before in enumerate(self.predecessors):
            last = before[0] if len(before) == 1 else max(before, key=finish.__getitem__, default=-1)
            finish.append((finish[last] if last >= 0 else 0.0) + times[index])
            via.append(last)
        if not finish:
            return 0.0, ()
        end = max(range(len(finish)), key=finish.__getitem__)
        path = [end]
        while via[path[-1]] >= 0:
            path.append(via[path[-1]])
        return finish[end], tuple(reversed(path))

    def weight_bytes(self, dtype: DataType) -> int:
        """Bytes of the model's constants, a shared one counted once."""
        seen = {tensor.name: tensor for layer in self.layers for tensor in layer.weights}
        return sum(tensor.bytes(dtype) for tensor in seen.values())

    def weight_bytes_read(self, dtype: DataType) -> int:
        """Bytes of the constants that one run has to read: of a table that is looked up, only the rows in use."""
        key = ("weight bytes read", dtype.bytes)
        if key not in self.remembered:
            self.remembered[key] = self._weight_bytes_read(dtype)
        found: int = self.remembered[key]
        return found

    def _weight_bytes_read(self, dtype: DataType) -> int:
        read: dict[str, int] = {}
        for layer in self.layers:
            partly = getattr(layer.work, "partial_read", False)
            for tensor in layer.weights:
                needed = min(tensor.bytes(dtype), layer.bytes_written(dtype)) if partly else tensor.bytes(dtype)
                read[tensor.name] = max(read.get(tensor.name, 0), needed)
        return sum(read.values())

    def peak_activation_bytes(self, dtype: DataType) -> int:
        """Most bytes of activations alive at once when the layers run one after another.

        A tensor lives from the layer that writes it to the last that reads it; a free layer's output is a
        view of its input and keeps that alive instead of taking memory.
        """
        owner: dict[str, str] = {}

        def root(name: str) -> str:
            return owner.get(name, name)

        size = {tensor.name: tensor.bytes(dtype) for tensor in self.inputs}
        last_use: dict[str, int] = dict.fromkeys(size, 0)
        for index, layer in enumerate(self.layers):
            for tensor in layer.inputs:
                last_use[root(tensor.name)] = index
            for tensor in layer.outputs:
                if layer.kind.does_work or not layer.inputs:
                    size[tensor.name] = tensor.bytes(dtype)
                    last_use[tensor.name] = index
                else:
                    owner[tensor.name] = root(layer.inputs[0].name)
        for tensor in self.outputs:
            last_use[root(tensor.name)] = len(self.layers)
        dying: dict[int, list[str]] = {}
        for name, index in last_use.items():
            dying.setdefault(index, []).append(name)
        alive = sum(size[tensor.name] for tensor in self.inputs)
        peak = alive
        for index, layer in enumerate(self.layers):
            alive += sum(size[t.name] for t in layer.outputs if t.name in size and t.name not in owner)
            peak = max(peak, alive)
            alive -= sum(size.get(name, 0) for name in dying.get(index, ()))
        return peak
