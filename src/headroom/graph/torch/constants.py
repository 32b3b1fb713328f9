"""What a program computes from its own small buffers alone: the masks that exported attention adds or chooses by."""

from __future__ import annotations

from typing import Any

from headroom.graph.torch import nodes

#: Elements of one tensor that is computed with: a mask over 1024 positions.
_ELEMENTS = 1 << 20

#: Elements that are computed in one program; bounds time and memory.
_BUDGET = 1 << 28

#: What is added to, or put in the place of, a score that must not count.
_NEVER = -1e4


class Constants:
    """Contents by FX node. They follow the program node by node, in-place writes included."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._left = _BUDGET

    def bind(self, node: Any, tensor: Any) -> None:
        """A buffer of the user's module; it is copied, because the program may write to it."""
        if tensor is not None and not tensor.is_meta and self._affordable(tensor.numel()):
            self._known[node] = tensor.detach().clone()

    def follow(self, node: Any) -> None:
        """Run one operator if all that it reads is known."""
        operands = list(nodes.nodes_in((*node.args, *node.kwargs.values())))
        if not nodes.is_operator(node) or not all(operand in self._known for operand in operands):
            if nodes.is_operator(node) and nodes.writes_in_place(node) and any(n in self._known for n in operands):
                self._known.clear()  # something unknown was written into a tensor that others may be views of
            return
        results = nodes.tensors_of(node)
        if len(results) == 1 and not _is_random(node) and self._affordable(results[0].numel()):
            self._run(node)

    def hides_the_future(self, node: Any) -> bool:
        """Whether an operator takes scores (..., n, n) and leaves, in row i, exactly columns 0 to i to count."""
        arguments = nodes.named_arguments(node) if nodes.is_operator(node) else {}
        match nodes.operator_name(node) if arguments else "":
            case "add":
                added = (self._contents(arguments[name]) for name in ("self", "other"))
                return any(_is_triangle(_kept_by_sum(mask)) for mask in added)
            case "baddbmm":
                return _is_triangle(_kept_by_sum(self._known.get(arguments["self"])))
            case "masked_fill":
                return self._never(arguments["value"]) and _is_triangle(self._choice(arguments["mask"], kept=False))
            case "where":
                return self._chooses(arguments)
            case "scaled_dot_product_attention":
                mask = self._known.get(arguments["attn_mask"])
                chooses = mask is not None and not mask.is_floating_point()
                return _is_triangle(mask if chooses else _kept_by_sum(mask))
        return False

    def _contents(self, value: Any) -> Any:
        return self._known.get(value) if nodes.is_node(value) else None

    def _chooses(self, arguments: dict[str, Any]) -> bool:
        for name, kept in (("self", False), ("other", True)):
            if self._never(arguments.get(name)):
                return _is_triangle(self._choice(arguments["condition"], kept))
        return False

    def _choice(self, node: Any, kept: bool) -> Any:
        """The scores that a mask of truth values keeps."""
        mask = self._known.get(node)
        return None if mask is None else mask.bool() == kept

    def _never(self, value: Any) -> bool:
        """Whether a number, or a tensor of one, takes a score out of the softmax."""
        tensor = self._contents(value)
        number = value if tensor is None else tensor.min().item()
        return isinstance(number, int | float) and number <= _NEVER

    def _affordable(self, elements: int) -> bool:
        self._left -= elements
        return elements <= _ELEMENTS and self._left >= 0

    def _run(self, node: Any) -> None:
        import torch

        def contents(value: Any) -> Any:
            return torch.fx.node.map_arg(value, lambda n: self._known[n])

        try:
            with torch.no_grad():
                result = node.target(*contents(node.args), **contents(node.kwargs))
        except (RuntimeError, NotImplementedError):
            return  # an operator that exists for tracing only
        if isinstance(result, torch.Tensor) and not result.is_meta:
            self._known[node] = result


def _is_random(node: Any) -> bool:
    import torch

    return torch.Tag.nondeterministic_seeded in node.target.tags


def _kept_by_sum(mask: Any) -> Any:
    """The scores that an added mask leaves as they are, if it does nothing but leave and hide."""
    if mask is None or not bool(((mask == 0) | (mask <= _NEVER)).all()):
        return None
    return mask == 0


def _is_triangle(kept: Any) -> bool:
    if kept is None or kept.dim() < 2 or not kept.shape[-1] == kept.shape[-2] > 1:
        return False
    return bool((kept == kept.new_ones(kept.shape[-2:]).tril().bool()).all())
