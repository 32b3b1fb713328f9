"""What a family of operators gives: a layer bound to its constants, ready to run on activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from headroom.graph.layer import Layer

#: Tensors by their name in the chain.
Tensors = Mapping[str, Tensor]

#: Computes a layer's outputs from its operands. It allocates what it returns and waits for nothing.
Step = Callable[[Tensors], Tensor | tuple[Tensor, ...]]

#: Makes the step of a layer. Constants are there already, so that work on them alone (packing) is done here, once.
Bind = Callable[[Layer, Tensors], Step]
