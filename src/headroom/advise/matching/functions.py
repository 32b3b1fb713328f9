"""One name for each elementwise function, whoever speaks: a graph, an operator, a kernel."""

from __future__ import annotations

#: Frameworks run these through one kernel, so that its name cannot tell them apart.
_CLAMP = ("relu", "relu6", "clip", "clamp", "clamp_min", "clamp_max", "hardtanh", "threshold", "clamp_scalar")

_SAME = {
    **dict.fromkeys(_CLAMP, "clamp"),
    "silu": "swish",
    "subtract": "add", "sub": "add", "rsub": "add", "sum": "add", "biasadd": "add", "fastgelu": "gelu",
    "biasgelu": "gelu", "multiply": "mul", "divide": "mul", "div": "mul", "true_divide": "mul", "reciprocal": "mul",
    "leaky_relu": "leakyrelu", "globalaverage": "average", "square": "pow", "sqrt": "pow", "rsqrt": "pow",
    "masked_fill": "where", "rotary": "mul", "softmax_backward": "softmax",
    "cat": "concat", "stack": "concat", "clone": "copy", "copy": "copy", "contiguous": "copy", "transpose": "copy",
    "permute": "copy", "repeat": "expand", "tile": "expand", "split": "slice",
    "unfold": "im2col", "to": "cast", "to_copy": "cast", "constant_pad_nd": "pad",
    "index_select": "gather", "index": "gather", "take": "gather", "embedding": "gather",
    "reducemean": "average", "mean": "average", "reducesum": "sum_over", "reducemax": "max_over",
}  # fmt: skip


def canonical(name: str) -> str:
    """``relu_`` and ``clip`` are ``clamp``, ``silu`` is ``swish``; an unknown name stays itself."""
    plain = name.lower().rstrip("_")
    if plain.startswith("upsample"):
        return "resize"
    return _SAME.get(plain, plain)
