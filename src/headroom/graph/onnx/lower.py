"""Nodes that stand for several: written out before they are described."""

from __future__ import annotations

import string
from collections.abc import Callable

import onnx

from headroom.graph.onnx.control import Site, run_loop, run_scan, take_branch
from headroom.graph.onnx.operators.einsum import label_sizes, parse_equation
from headroom.graph.onnx.operators.registry import key_of

Lower = Callable[[Site], bool]


def lowered(site: Site) -> bool:
    """Write the node out in the walk if it stands for several; say whether it did."""
    lower = _LOWER.get(key_of(site.call.domain, site.call.operator))
    return lower is not None and lower(site)


def _einsum(site: Site) -> bool:
    """A product of three or more operands, as products of two, the cheapest pair first."""
    operands = list(site.node.input)
    if len(operands) < 3:
        return False
    shapes = tuple(value.shape for value in site.call.inputs if value is not None)
    equation = site.call.attribute("equation", b"").decode("utf-8", "replace")
    terms, result = parse_equation(equation, tuple(len(shape) for shape in shapes))
    sizes = label_sizes(terms, shapes)
    spare = iter(sorted(set(string.ascii_letters) - set("".join(terms))))
    letters = {label: next(spare) if label.isdigit() else label for label in sizes}
    pool = list(zip(operands, terms, strict=True))
    nodes: list[onnx.NodeProto] = []
    while len(pool) > 1:
        left, right = _cheapest_pair(pool, sizes)
        rest = [entry for entry in pool if entry is not left and entry is not right]
        needed = set(result).union(*(term for _, term in rest))
        kept = "".join(dict.fromkeys(c for c in left[1] + right[1] if c in needed)) if rest else result
        name = f"{site.prefix}product{len(nodes)}" if rest else site.node.output[0]
        text = ",".join(_spelt(term, letters) for term in (left[1], right[1])) + "->" + _spelt(kept, letters)
        nodes.append(
            onnx.helper.make_node(
                "Einsum", [left[0], right[0]], [name], name=f"{site.call.name}.{len(nodes)}", equation=text
            )
        )
        pool = [*rest, (name, kept)]
    site.run(nodes, [])
    return True


def _cheapest_pair(pool: list[tuple[str, str]], sizes: dict[str, int]) -> tuple[tuple[str, str], tuple[str, str]]:
    pairs = [(a, b) for i, a in enumerate(pool) for b in pool[i + 1 :]]

    def cost(pair: tuple[tuple[str, str], tuple[str, str]]) -> int:
        product = 1
        for label in set(pair[0][1] + pair[1][1]):
            product *= sizes[label]
        return product

    return min(pairs, key=cost)


def _spelt(term: str, letters: dict[str, str]) -> str:
    return "".join(letters[label] for label in term)


def _packed_attention(site: Site) -> bool:
    """The runtime's Attention holds the projection to queries, keys and values as well.

    Written out as the projection, its bias, a split and a MultiHeadAttention. With a cache it stays as it is.
    """
    names = [*site.node.input, *[""] * 6]
    source, weight, bias, mask, past, addend = names[:6]
    if past or site.call.value(0) is None or site.call.value(1) is None:
        return False
    name, widths = site.call.name, site.call.attribute("qkv_hidden_sizes")
    columns = site.call.shape(1)[-1]
    sizes = [int(width) for width in widths] if widths else [columns // 3] * 3
    nodes = [onnx.helper.make_node("MatMul", [source, weight], [f"{site.prefix}qkv"], name=f"{name}.projection")]
    packed = f"{site.prefix}qkv"
    if bias:
        nodes.append(onnx.helper.make_node("Add", [packed, bias], [f"{site.prefix}biased"], name=f"{name}.bias"))
        packed = f"{site.prefix}biased"
    parts = [f"{site.prefix}{part}" for part in ("query", "key", "value")]
    nodes.append(_split(site, packed, parts, sizes))
    attention = onnx.helper.make_node(
        "MultiHeadAttention",
        [*parts, "", mask, addend],
        list(site.node.output[:1]),
        name=name,
        domain="com.microsoft",
        num_heads=int(site.call.attribute("num_heads", 1)),
        unidirectional=int(site.call.attribute("unidirectional", 0)),
    )
    site.run([*nodes, attention], [])
    return True


def _split(site: Site, packed: str, parts: list[str], sizes: list[int]) -> onnx.NodeProto:
    """Split sizes were an attribute up to opset 12 and are an input since."""
    name = f"{site.call.name}.split"
    if site.walk.opset("") < 13:
        return onnx.helper.make_node("Split", [packed], parts, name=name, axis=-1, split=sizes)
    return onnx.helper.make_node("Split", [packed, site.constant("sizes", sizes)], parts, name=name, axis=-1)


_LOWER: dict[str, Lower] = {
    "If": take_branch,
    "Loop": run_loop,
    "Scan": run_scan,
    "Einsum": _einsum,
    "com.microsoft::Attention": _packed_attention,
}
