"""Einstein summation: the matrix product (or less) that an equation stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable

from headroom.graph.torch.call import Call, Operand
from headroom.graph.torch.registry import described, operators
from headroom.graph.work import Elementwise, Matmul, Movement, Reduction, Unknown, Work


@operators("einsum")
def einsum(call: Call) -> Work:
    """One operand is moved or summed, two make a product; more have no agreed order of contraction."""
    tensors: tuple[Operand, ...] = call.arguments["tensors"]
    if len(tensors) > 2:
        return Unknown("einsum", f"an einsum of {len(tensors)} operands, which writes {described(call.outputs)}")
    labels, result = parsed(call.arguments["equation"], [len(t.shape) for t in tensors])
    if len(tensors) == 1:
        if set(labels[0]) == set(result):
            return Movement("einsum", call.out.elements)
        return Reduction("sum", tensors[0].elements, call.out.elements)
    return _pair(labels, result, tensors)


def _pair(labels: list[list[str]], result: list[str], tensors: tuple[Operand, ...]) -> Work:
    """Labels in both and in the result are batch, in both alone are k, in one are m or n.

    Labels of one operand that the result lacks are summed before the product and cost no multiply-add.
    """
    size: dict[str, int] = {}
    for names, tensor in zip(labels, tensors, strict=True):
        for label, length in zip(names, tensor.shape, strict=True):
            size[label] = max(length, size.get(label, 1))
    left, right, out = set(labels[0]), set(labels[1]), set(result)

    def extent(chosen: Iterable[str]) -> int:
        return math.prod(size[label] for label in chosen)

    summed = (left & right) - out
    if not summed:
        return Elementwise("mul", extent(out))
    return Matmul(
        m=extent((left - right) & out),
        n=extent((right - left) & out),
        k=extent(summed),
        batch=extent(left & right & out),
    )


def parsed(equation: str, ranks: list[int]) -> tuple[list[list[str]], list[str]]:
    """Labels per operand and of the result; an ellipsis becomes labels that count from the right."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    labels = [_expanded(term, rank) for term, rank in zip(terms.split(","), ranks, strict=True)]
    if arrow:
        hidden = max((sum(len(x) > 1 for x in names) for names in labels), default=0)
        return labels, _expanded(result, len(result.replace("...", "")) + hidden)
    # Without an arrow: the ellipsis, then every label that appears once, sorted.
    every = [label for names in labels for label in names]
    broadcast = sorted({x for x in every if len(x) > 1}, reverse=True)
    return labels, broadcast + sorted(x for x in set(every) if len(x) == 1 and every.count(x) == 1)


def _expanded(term: str, rank: int) -> list[str]:
    if "..." not in term:
        return list(term)
    before, _, after = term.partition("...")
    hidden = rank - len(before) - len(after)
    return [*before, *(f"...{i:02d}" for i in reversed(range(hidden))), *after]
