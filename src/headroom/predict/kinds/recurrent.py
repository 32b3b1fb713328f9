"""Recurrent stacks: one large product for the inputs, then steps that wait for each other."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.graph.layer import Layer
from headroom.graph.work import Recurrent
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.terms import longest
from headroom.predict.prediction import Bottleneck, Prediction, Source
from headroom.predict.roofline import dram_floor_bytes, floor_us

#: Synchronisations of the whole GPU per step of a persistent recurrent kernel: state out, state in.
_BARRIERS_PER_STEP = 2.0

#: A step's product has only as many rows as the batch; the multipliers are fed with tiles of this many at least.
_LEAST_TILE_ROWS = 32.0


def predict_recurrent(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Every recurrent stack as a persistent kernel that keeps its weights on the chip where they fit."""
    return [_predict(layer, context) for layer in layers]


def _predict(layer: Layer, context: Context) -> Prediction:
    work = layer.work
    if not isinstance(work, Recurrent):
        raise TypeError(f"layer {layer.name!r} of kind {layer.kind} is not recurrent")
    gpu, dtype = context.gpu, context.dtype
    constants = context.gemm_constants()
    steps = work.sequential_steps
    rate = gpu.peak_tflops(dtype) * 1e6 * constants.efficiency_on(gpu)
    padding = max(1.0, _LEAST_TILE_ROWS / max(1, work.batch))
    compute = work.flops * padding / rate
    weights = float(sum(tensor.bytes(dtype) for tensor in layer.weights))
    total = float(layer.bytes(dtype))
    l2_bytes = total + weights * max(0, steps - 1)
    dram_bytes = dram_floor_bytes(total, gpu, context.l2_state)
    dram_bytes += max(0.0, weights - gpu.l2.size_bytes) * max(0, steps - 1)
    l2 = l2_bytes / (gpu.l2.bandwidth_gbs * 1e3 * constants.l2_share)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * constants.dram_share)
    latency = steps * _BARRIERS_PER_STEP * gpu.l2.latency_ns * 1e-3
    launch = constants.launch_us_on(gpu)
    floor = floor_us(layer, gpu, dtype, context.l2_state)
    terms = {
        Bottleneck.COMPUTE: compute,
        Bottleneck.L2: l2,
        Bottleneck.DRAM: dram,
        Bottleneck.LATENCY: latency,
        Bottleneck.LAUNCH: launch,
    }
    return Prediction(
        time_us=max(floor, launch + latency + max(compute, l2, dram)),
        error_pct=context.calibration.error_pct(layer.kind.value, context.unit, gpu, "long"),
        source=Source.PREDICTED,
        bottleneck=longest(terms),
        floor_us=floor,
        l1_bytes=l2_bytes,
        l2_bytes=l2_bytes,
        dram_bytes=dram_bytes,
        algorithm=f"persistent {work.cell} steps",
        notes=(f"{steps} steps follow each other; they cannot overlap",),
    )
