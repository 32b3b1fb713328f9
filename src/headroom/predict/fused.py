"""How much longer a chain takes as one kernel than its first layer alone with the chain's bytes.

A fused kernel is not always the one that ran its first layer fastest. A library's best kernels carry few endings: a
sum and a ReLU come free, other activations (clipping, swish, GELU) run in kernels generated for them, which in strict
fp32 take twice as long; no kernel of a depthwise convolution carries any, and compilers write slower ones. Others are
faster: a folded scale is a bias, which opens kernels that start sooner. How much is a factor per sort of kernel,
ending and data type, the median of measured chains (``benchmarks/fused_fit.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

from headroom.gpu.spec import GpuSpec
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.predict.constants import unit_of
from headroom.predict.kinds.layer_products import forward_sorts, is_direct
from headroom.predict.kinds.streaming import sort_of
from headroom.predict.own.choice import calibration_of

#: Endings of libraries' own kernels.
_COMMON = ("scale", "relu")


def fused_factors(chains: Sequence[Sequence[Layer]], gpu: GpuSpec, dtype: DataType) -> list[float]:
    """Of each chain, its time as one kernel in units of its first layer's with the chain's bytes; 1 where not known."""
    calibration = calibration_of(gpu)
    return [calibration.fused_factor(gpu, dtype, (way, kin_of(way))) for way in ways_of(chains, gpu, dtype)]


def ways_of(chains: Sequence[Sequence[Layer]], gpu: GpuSpec, dtype: DataType) -> list[str]:
    """Sort of kernel and ending of each chain: ``depthwise, clip``; ``pointwise, relu + operand``."""
    anchors = [chain[0] for chain in chains]
    tiled = [i for i, anchor in enumerate(anchors) if _is_tiled_forward(anchor)]
    sorts = [_sort(anchor) for anchor in anchors]
    for i, sort in zip(tiled, forward_sorts([anchors[i] for i in tiled], dtype, unit_of(gpu, dtype)), strict=True):
        sorts[i] = sort
    return [f"{sort}, {_ending(chain)}" for sort, chain in zip(sorts, chains, strict=True)]


def kin_of(way: str) -> str:
    """What stands in for a ``way`` that nobody timed: other chains of the same sort of kernel, of whose endings those
    that libraries write by hand are one kin and those that are generated another.
    """
    sort, ending = way.split(", ")
    return f"{sort}, {'common' if ending.split(' + ')[0] in _COMMON else 'rarer'} ending"


def _is_tiled_forward(layer: Layer) -> bool:
    work = layer.work
    return isinstance(work, Convolution) and work.direction == "forward" and not is_direct(layer)


def _sort(layer: Layer) -> str:
    return str(layer.kind) if layer.kind in (LayerKind.MATMUL, LayerKind.MATVEC) else sort_of(layer)


def _ending(chain: Sequence[Layer]) -> str:
    """The first activation of what follows the first layer, and whether another operand is read."""
    activation = next((layer.step for layer in chain[1:] if layer.kind is LayerKind.ACTIVATION), "scale")
    return f"{activation} + operand" if any(len(layer.inputs) > 1 for layer in chain[1:]) else activation
