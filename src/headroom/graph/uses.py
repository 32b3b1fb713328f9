"""Who makes and who reads each tensor: what the passes that recognise patterns look things up in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec


class Uses:
    """The edges of a model. ``kept`` names the tensors that the model hands out."""

    def __init__(self, layers: Sequence[Layer], outputs: Iterable[TensorSpec]) -> None:
        self.layers = tuple(layers)
        self.maker = {tensor.name: i for i, layer in enumerate(layers) for tensor in layer.outputs}
        self.readers: dict[str, list[int]] = {}
        for index, layer in enumerate(layers):
            for tensor in layer.inputs:
                self.readers.setdefault(tensor.name, []).append(index)
        self.kept = {tensor.name for tensor in outputs}

    def only_reader(self, name: str) -> int | None:
        """The one layer that reads a tensor, if nothing else needs it."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.kept else None

    def private(self, index: int) -> bool:
        """Whether one layer alone reads what this one writes."""
        return all(self.only_reader(tensor.name) is not None for tensor in self.layers[index].outputs)


def joined(layers: Sequence[Layer], replaced: dict[int, Layer], taken: set[int]) -> tuple[Layer, ...]:
    """The layers with ``taken`` removed and ``replaced`` put where their last member stood."""
    return tuple(replaced.get(i, layer) for i, layer in enumerate(layers) if i in replaced or i not in taken)
