"""Reductions, searches and transforms: many values in, fewer or ordered values out."""

from __future__ import annotations

import math

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Describe, Family, same
from headroom.graph.work import Elementwise, Free, Reduction, Work

_REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare", "ArgMax", "ArgMin",
)  # fmt: skip


def _reduce(call: Call) -> Work:
    source = call.value(0)
    assert source is not None
    if source.spec.form == call.out.form and call.operator not in ("ReduceL1", "ReduceL2", "ReduceLogSumExp"):
        # Nothing to reduce: axes of size 1 kept, or no axes and noop_with_empty_axes.
        return Free(call.operator.lower())
    return Reduction(call.operator.lower(), source.spec.elements, call.out.elements)


def _passes(function: str, passes: int = 1) -> Describe:
    """A search or scan that reads its first input ``passes`` times."""

    def describe(call: Call) -> Work:
        return Reduction(function, passes * math.prod(call.shape(0)), call.out.elements)

    return describe


def _top_k(call: Call) -> Work:
    """A selection looks at every value about log2(k) times."""
    k = max(call.out.shape[int(call.attribute("axis", -1))], 2) if call.out.shape else 2
    passes = max(1, math.ceil(math.log2(k)))
    return Reduction("topk", passes * math.prod(call.shape(0)), call.out.elements)


def _non_max_suppression(call: Call) -> Work:
    """At worst every kept box is compared with every other box of its class."""
    boxes, scores = call.shape(0), call.shape(1)
    kept = call.value(2)
    limit = int(kept.data.ravel()[0]) if kept is not None and kept.data is not None and kept.data.size else 0
    per_class = min(boxes[1], limit) if limit > 0 else boxes[1]
    return Reduction("nonmaxsuppression", scores[0] * scores[1] * boxes[1] * max(1, per_class), call.out.elements)


def _fourier(call: Call) -> Work:
    """A fast Fourier transform of N values costs about ``5 N log2 N`` flops."""
    shape = call.out.shape
    if call.operator == "STFT":
        length = 2 * (shape[-2] - 1) if call.attribute("onesided", 1) else shape[-2]
    else:
        length = max(shape[:-1] or (1,))
    return Elementwise(call.operator.lower(), call.out.elements, 5 * max(1, math.ceil(math.log2(max(length, 2)))))


def _determinant(call: Call) -> Work:
    """Elimination: about two thirds of n cubed flops per matrix."""
    shape = call.shape(0)
    n = shape[-1]
    return Reduction("det", max(1, math.prod(shape) * 2 * n // 3), call.out.elements)


FAMILY = Family(
    describe={
        **same(_REDUCTIONS, _reduce),
        "TopK": _top_k,
        "NonMaxSuppression": _non_max_suppression,
        "NegativeLogLikelihoodLoss": _passes("negativeloglikelihoodloss"),
        "Det": _determinant,
        "DFT": _fourier,
        "STFT": _fourier,
    },
    settings={
        **{name: (1,) for name in _REDUCTIONS if not name.startswith("Arg")},
        "TopK": (1,),
        "NonMaxSuppression": (2, 3, 4),
        "DFT": (1, 2),
        "STFT": (1, 3),
    },
)
