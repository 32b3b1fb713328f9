"""Attention as one fused (flash) kernel: scores never leave the SM."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention
from headroom.predict.kinds.context import Context
from headroom.predict.prediction import Bottleneck, Prediction, Source
from headroom.predict.roofline import dram_floor_bytes, floor_us

#: Query rows and key columns that one CTA handles per step in fused attention kernels.
_QUERY_TILE, _KEY_TILE = 128, 64

#: Share of the main loop's rate that a fused kernel keeps beside its exponentials (FlashAttention-2 and -3
#: report 50-75 % of peak where a GEMM reaches 70-85 %).
_FUSED_SHARE = 0.75


def predict_attention(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Every attention layer as a fused kernel."""
    return [_predict(layer, context) for layer in layers]


def _predict(layer: Layer, context: Context) -> Prediction:
    work = layer.work
    if not isinstance(work, Attention):
        raise TypeError(f"layer {layer.name!r} of kind {layer.kind} is not an attention")
    gpu, dtype = context.gpu, context.dtype
    constants = context.gemm_constants
    heads = work.batch * work.heads
    key_parts = _key_parts(work, heads, gpu.sms)
    ctas = heads * math.ceil(work.query_length / _QUERY_TILE) * key_parts
    rounds = math.ceil(ctas / gpu.sms)
    rate = gpu.peak_tflops(dtype) * 1e6 / gpu.sms * constants.efficiency_on(gpu) * _FUSED_SHARE
    compute = rounds * _cta_flops(work, key_parts) / rate
    total = float(layer.bytes(dtype))
    l2_bytes = total + _reloaded_bytes(work, dtype)
    dram_bytes = dram_floor_bytes(total, gpu, context.l2_state)
    l2 = l2_bytes / (gpu.l2.bandwidth_gbs * 1e3 * constants.l2_share)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * constants.dram_share)
    latency = constants.round_latencies * gpu.dram.latency_ns * 1e-3
    launch = constants.launch_us_on(gpu) * (2.0 if key_parts > 1 else 1.0)
    floor = floor_us(layer, gpu, dtype, context.l2_state)
    terms = {
        Bottleneck.COMPUTE: compute,
        Bottleneck.L2: l2,
        Bottleneck.DRAM: dram,
        Bottleneck.LATENCY: latency,
        Bottleneck.LAUNCH: launch,
    }
    time = max(floor, launch + latency + max(compute, l2, dram))
    return Prediction(
        time_us=time,
        error_pct=context.calibration.error_pct(
            layer.kind.value, context.unit, gpu, "short" if 2.0 * (launch + latency) >= time else "long"
        ),
        source=Source.PREDICTED,
        bottleneck=max(terms, key=lambda name: terms[name]),
        floor_us=floor,
        l1_bytes=l2_bytes,
        l2_bytes=l2_bytes,
        dram_bytes=dram_bytes,
        algorithm="fused attention",
        tile=(_QUERY_TILE, _KEY_TILE, work.head_dim),
        ctas=ctas,
        waves=ctas / gpu.sms,
        tail_utilization=ctas / (rounds * gpu.sms),
    )


def _key_parts(work: Attention, heads: int, sms: int) -> int:
    """Parts of the keys that run in parallel: decoding with few heads splits them to fill the GPU."""
    rows = heads * math.ceil(work.query_length / _QUERY_TILE)
    longest = max(1, math.ceil(work.key_length / (4 * _KEY_TILE)))
    return max(1, min(longest, sms // rows)) if rows < sms // 2 else 1


def _cta_flops(work: Attention, key_parts: int) -> float:
    """Flops of one CTA, padding to whole tiles included; a causal one skips the masked tiles."""
    keys = math.ceil(work.key_length / key_parts / _KEY_TILE) * _KEY_TILE
    kept = work.useful_macs / max(1, work.macs)
    return 2.0 * _QUERY_TILE * keys * (work.head_dim + work.value_dim) * kept


def _reloaded_bytes(work: Attention, dtype: DataType) -> float:
    """Keys and values that every row of query tiles loads again."""
    again = work.batch * work.heads * (math.ceil(work.query_length / _QUERY_TILE) - 1)
    kept = work.useful_macs / max(1, work.macs)
    return again * work.key_length * (work.head_dim + work.value_dim) * dtype.bytes * kept
