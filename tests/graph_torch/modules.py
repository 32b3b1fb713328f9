"""A module out of one function, for tests of single operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.torch.reader import read_module


class Module(nn.Module):
    """Runs ``function(self, *inputs)``; keyword arguments become submodules."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


def graph_of(function: Callable[..., Any], *inputs: Any, **parts: nn.Module) -> Graph:
    """The graph of ``function(*inputs)``, or of ``function(module, *inputs)`` when submodules are given."""
    call = function if parts else lambda _, *given: function(*given)
    return read_module(Module(call, **parts), inputs)


def only_layer(graph: Graph) -> Layer:
    """The one layer that does work."""
    (layer,) = graph.working_layers
    return layer
