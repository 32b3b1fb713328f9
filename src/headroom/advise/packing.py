"""Which layers packed weights would make faster, and by how much: linear layers at small batch, bound by their weights.

The packed kernel is supposed to move its bytes as fast as the layer's kernel does now, and never to be faster than its
instructions can be issued. Nobody has timed it here, so the theory's error bar is widened.
"""

from __future__ import annotations

from dataclasses import dataclass

from headroom.advise.timed import TimedGraph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.packed import linear_bound, unpacking_of

#: Inputs that a weight meets at most in the kernel that splits weights in registers.
MOST_SAMPLES = 8
#: Share of a layer's bytes from which its weights bound it.
WEIGHT_BOUND = 0.8
#: A kernel that nobody has timed may be this much, in percent of the saving, worse or better than the bytes say.
UNTIMED_PCT = 30.0


@dataclass(frozen=True, slots=True)
class WeightBound:
    """A linear layer at small batch: ``outputs`` x ``k`` weights, each met by ``samples`` inputs."""

    outputs: int
    k: int
    samples: int
    weight_share: float


def weight_bound(layer: Layer, dtype: DataType) -> WeightBound | None:
    """The layer as one whose weights are nearly all that it moves; ``None`` for any other."""
    if layer.kind not in (LayerKind.MATMUL, LayerKind.MATVEC) or layer.gemm is None or not layer.weights:
        return None
    largest = max(layer.weights, key=lambda tensor: tensor.bytes(dtype))
    k = layer.gemm.k
    count = 1
    for size in largest.shape:
        count *= size
    if not count or count % k or layer.macs % count:
        return None
    share = largest.bytes(dtype) / layer.bytes(dtype)
    samples = layer.macs // count
    if samples > MOST_SAMPLES or share < WEIGHT_BOUND:
        return None
    return WeightBound(count // k, k, samples, share)


def packed_us(timed: TimedGraph, layer: Layer, time_us: float, form: str, group: int | None) -> float | None:
    """What a layer that takes ``time_us`` now would take with weights of ``form``; ``None`` if it is not weight-bound.

    Args:
        group: weights that share an fp32 scale.
    """
    found = weight_bound(layer, timed.dtype)
    if found is None:
        return None
    costs = unpacking_of(form)
    now_bits = max(layer.weights, key=lambda each: each.bytes(timed.dtype)).bytes(timed.dtype) * 8
    now_bits //= found.outputs * found.k
    bits = costs.bits + (32 / group if group else 0.0)
    bound = linear_bound(
        timed.gpu, costs, outputs=found.outputs, k=found.k, samples=found.samples, group=group,
        cold=timed.l2_state == "cold",
    )  # fmt: skip
    moving_us = max(0.0, time_us - timed.gpu.launch_us)
    after_us = moving_us * (1 - found.weight_share * (1 - bits / now_bits))
    return min(time_us, timed.gpu.launch_us) + max(after_us, bound.time_us)
