"""Einsum as the matrix product, reduction or copy that it stands for.

A product of three or more operands is split into products of two before it comes here
(:mod:`headroom.graph.onnx.lower`).
"""

from __future__ import annotations

import math

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Family
from headroom.graph.work import Elementwise, Free, Matmul, Movement, Reduction, Work

Sizes = dict[str, int]


def parse_equation(equation: str, ranks: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """Subscripts of the operands and of the result, one character per dimension.

    An ellipsis becomes as many digits as it has dimensions; the digits count from the right, so that they
    line up between operands. A missing result lists the labels that occur once, in alphabetical order.

    Raises:
        LookupError: the equation does not fit the operands.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise LookupError(f"its equation names {len(terms)} operands and it has {len(ranks)}")
    widest = 0
    operands = []
    for term, rank in zip(terms, ranks, strict=True):
        named = len(term.replace("...", ""))
        hidden = rank - named if "..." in term else 0
        if hidden < 0 or hidden > 10 or named + hidden != rank:
            raise LookupError(f"its term {term!r} does not fit an operand of {rank} dimensions")
        widest = max(widest, hidden)
        operands.append(term.replace("...", _digits(hidden)))
    if arrow:
        return tuple(operands), right.replace("...", _digits(widest))
    labels = "".join(operands)
    once = sorted(label for label in set(labels) if labels.count(label) == 1 and not label.isdigit())
    return tuple(operands), _digits(widest) + "".join(once)


def _digits(count: int) -> str:
    return "".join(str(i) for i in reversed(range(count)))


def label_sizes(terms: tuple[str, ...], shapes: tuple[tuple[int, ...], ...]) -> Sizes:
    """Size of each label; 1 broadcasts."""
    sizes: Sizes = {}
    for term, shape in zip(terms, shapes, strict=True):
        for label, size in zip(term, shape, strict=True):
            sizes[label] = max(sizes.get(label, 1), size)
    return sizes


def _einsum(call: Call) -> Work:
    shapes = tuple(value.shape for value in call.inputs if value is not None)
    equation = call.attribute("equation", b"").decode("utf-8", "replace")
    terms, result = parse_equation(equation, tuple(len(shape) for shape in shapes))
    sizes = label_sizes(terms, shapes)
    if len(terms) == 1:
        return _unary(terms[0], result, shapes[0], call.out.elements)
    return _binary(terms[0], terms[1], result, sizes)


def _unary(term: str, result: str, shape: tuple[int, ...], out_elements: int) -> Work:
    if term == result:
        return Free("einsum")
    if set(term) == set(result) and len(term) == len(result):
        return Movement("einsum", out_elements)
    if len(set(term)) > len(set(result)):
        return Reduction("einsum", math.prod(shape), out_elements)
    return Movement("einsum", out_elements, partial_read=True)


def _binary(left: str, right: str, result: str, sizes: Sizes) -> Work:
    """Labels in both operands and the result are batch, in both only k, in one and the result m or n."""

    def size(labels: set[str]) -> int:
        return math.prod(sizes[label] for label in labels)

    a, b, out = set(left), set(right), set(result)
    contracted = (a & b) - out
    if not contracted and not ((a - b) & out and (b - a) & out):
        return Elementwise("einsum", size(a | b), 1)
    return Matmul(m=size((a - b) & out), n=size((b - a) & out), k=size(contracted), batch=size(a & b & out))


FAMILY = Family(describe={"Einsum": _einsum})
