"""What a network is fed: random values, never zeros, because a GPU's clock and power depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import FIXED_WIDTH_BYTES, TensorSpec
from headroom.graph.torch.example_inputs import fake_inputs

if TYPE_CHECKING:
    import torch

#: Largest index that an integer input holds where the graph does not say what it indexes: every dimension that is
#: indexed at all holds two values.
_ANY_INDEX = 1


def like_examples(
    example_inputs: Any, batch: int | None, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments of the examples' structure and shapes, at ``batch`` samples.

    Floating-point values are drawn anew. Integers and truth values are drawn from the example's own, which are in
    range by construction.
    """
    from torch.utils import _pytree as pytree

    described = fake_inputs(example_inputs, batch=batch)
    fakes, structure = pytree.tree_flatten((described.args, described.kwargs))
    if isinstance(example_inputs, Mapping):
        examples = pytree.tree_leaves(dict(example_inputs))
    else:
        examples = pytree.tree_leaves(tuple(example_inputs) if isinstance(example_inputs, list) else example_inputs)
    leaves = [_like(example, fake, dtype, device) for example, fake in zip(examples, fakes, strict=True)]
    args, kwargs = pytree.tree_unflatten(leaves, structure)
    return args, kwargs


def _like(example: Any, fake: Any, dtype: torch.dtype, device: torch.device) -> Any:
    import torch

    if not isinstance(example, torch.Tensor):
        return example
    shape = tuple(fake.shape)
    if example.is_floating_point() or example.is_complex():
        return torch.randn(shape, dtype=example.dtype if example.is_complex() else dtype, device=device)
    if example.numel() == 0:
        return torch.zeros(shape, dtype=example.dtype, device=device)
    values = example.detach().cpu().flatten()
    return values[torch.randint(len(values), shape)].to(device)


def for_graph(graph: Graph, dtype: torch.dtype, device: torch.device) -> tuple[Any, ...]:
    """One tensor per input of the graph, in order; integers stay inside the tables that they index."""
    import torch

    def values(spec: TensorSpec) -> torch.Tensor:
        if spec.element not in FIXED_WIDTH_BYTES:
            return torch.randn(spec.shape, dtype=dtype, device=device)
        element = getattr(torch, spec.element)
        if spec.element == "bool":
            return torch.ones(spec.shape, dtype=element, device=device)
        return torch.randint(_largest_index(graph, spec) + 1, spec.shape, device=device).to(element)

    return tuple(values(spec) for spec in graph.inputs)


def _largest_index(graph: Graph, spec: TensorSpec) -> int:
    """The last row of the smallest table that ``spec``, or a view of it, looks rows up in."""
    names, last = {spec.name}, None
    for layer in graph.layers:
        if not any(tensor.name in names for tensor in layer.inputs):
            continue
        if layer.kind is LayerKind.FREE:
            names.update(tensor.name for tensor in layer.outputs)
        elif layer.kind is LayerKind.EMBEDDING and layer.weights:
            rows = layer.weights[0].shape[0]
            last = rows - 1 if last is None else min(last, rows - 1)
    return _ANY_INDEX if last is None else last
