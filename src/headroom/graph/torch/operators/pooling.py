"""Maximum and average pooling, adaptive and fractional forms included."""

from __future__ import annotations

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Pooling, Work


@operators(
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "fractional_max_pool2d",
    "fractional_max_pool3d",
)  # fmt: skip
def pooling(call: Call) -> Work:
    rank = _rank(call)
    window = call.sizes("kernel_size", rank)
    return Pooling(_function(call), call.out.elements, window, call.sizes("stride", rank, window))


@operators(
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
)  # fmt: skip
def adaptive_pooling(call: Call) -> Work:
    """Windows that cover the input evenly: ``ceil(in / out)`` wide, about ``in / out`` apart."""
    rank = _rank(call)
    pairs = list(zip(call.first.shape[-rank:], call.out.shape[-rank:], strict=True))
    return Pooling(
        _function(call),
        call.out.elements,
        window=tuple(-(-size // out) for size, out in pairs),
        stride=tuple(max(1, size // out) for size, out in pairs),
    )


def _rank(call: Call) -> int:
    """The dimensions that the operator's name states: ``max_pool2d_with_indices`` is 2."""
    return int(call.operator[call.operator.index("pool") + 4])


def _function(call: Call) -> str:
    return "max" if "max" in call.operator else "average"
