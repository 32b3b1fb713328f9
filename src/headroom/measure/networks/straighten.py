"""A function of tensors as a module of straight-line code: no Python between its operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch.fx import Graph, GraphModule, Node


def straightened(
    forward: Callable[..., tuple[Any, ...]], weights: Sequence[torch.Tensor], examples: Sequence[torch.Tensor]
) -> GraphModule:
    """The module that computes ``forward(*weights, *inputs)``, with the weights as its parameters.

    Operators are recorded as PyTorch's own interpreter would call them, undecomposed, so that a compiler sees what it
    would see in the user's code. Nothing is computed: ``examples`` give shapes and types.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    with torch.no_grad():
        trace = make_fx(forward, tracing_mode="fake", pre_dispatch=True, _allow_non_fake_inputs=True)
        module = trace(*weights, *examples)
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    for index, (node, weight) in enumerate(zip(placeholders, weights, strict=False)):
        _make_parameter(module, node, f"weight_{index}", weight)
    _drop_copies(module.graph)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module.eval()


def _make_parameter(module: GraphModule, node: Node, name: str, weight: torch.Tensor) -> None:
    """Turn an argument of the traced function into a parameter, or a buffer where it holds no real numbers."""
    import torch

    if weight.is_floating_point():
        module.register_parameter(name, torch.nn.Parameter(weight, requires_grad=False))
    else:
        module.register_buffer(name, weight)
    with module.graph.inserting_before(node):
        read = module.graph.get_attr(name)
    read.meta = dict(node.meta)
    node.replace_all_uses_with(read)
    module.graph.erase_node(node)


def _drop_copies(graph: Graph) -> None:
    """Take out copies that PyTorch's views make needless, and views that change nothing.

    Timed alone, a transposition or a slice has to write its result. In a PyTorch network it is a view, and whoever
    reads it copies if need be. Nothing here is written in place, so a view is as good as a copy.
    """
    import torch

    clone, reshape = torch.ops.aten.clone.default, torch.ops.aten.reshape.default
    for node in list(graph.nodes):
        unchanged = node.target is reshape and node.meta["val"].shape == node.args[0].meta["val"].shape
        if node.target is clone or unchanged:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
