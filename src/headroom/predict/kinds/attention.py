"""Attention as one fused (flash) kernel: scores never leave the SM."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Attention
from headroom.predict.cache_misses import missing_share
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.terms import longest, regime
from headroom.predict.prediction import Bottleneck, Prediction, Source
from headroom.predict.roofline import floor_us

#: Query rows and key columns that one CTA handles per step in fused attention kernels; with few queries, fewer rows.
_QUERY_TILE, _KEY_TILE, _DECODE_TILE = 128, 64, 16

#: Exponentials that an SM's special-function units finish per cycle (CUDA programming guide, table of throughputs).
_EXPONENTIALS_PER_CYCLE = 16.0


def predict_attention(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Every attention layer as a fused kernel."""
    return [_predict(layer, context) for layer in layers]


def _predict(layer: Layer, context: Context) -> Prediction:
    work = layer.work
    if not isinstance(work, Attention):
        raise TypeError(f"layer {layer.name!r} of kind {layer.kind} is not an attention")
    gpu, dtype = context.gpu, context.dtype
    constants = context.calibration.attention
    decodes = work.query_length <= _DECODE_TILE
    key_parts = _key_parts(work, gpu.sms)
    ctas = _query_tiles(work) * key_parts
    rounds = math.ceil(ctas / gpu.sms)
    compute = rounds * _cta_us(work, key_parts, context)
    total = float(layer.bytes(dtype))
    l2_bytes = total + _reloaded_bytes(work, dtype)
    warm = context.l2_state == "warm"
    missing = missing_share(np.array(total), float(gpu.l2.size_bytes), constants.cache_share) if warm else 1.0
    dram_bytes = float(total * missing)
    l2 = l2_bytes / (gpu.l2.bandwidth_gbs * 1e3 * constants.l2_share)
    dram = dram_bytes / (gpu.dram.bandwidth_gbs * 1e3 * constants.dram_share)
    latency = rounds * constants.round_latencies * gpu.dram.latency_ns * 1e-3
    launch = (constants.decode_launches if decodes else constants.start_launches) * gpu.launch_us
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
            layer.kind.value, context.unit, gpu, regime(2.0 * (launch + latency) >= time), dtype, context.l2_state
        ),
        source=Source.PREDICTED,
        bottleneck=longest(terms),
        floor_us=floor,
        l1_bytes=l2_bytes,
        l2_bytes=l2_bytes,
        dram_bytes=dram_bytes,
        algorithm="fused attention",
        tile=(_DECODE_TILE if decodes else _QUERY_TILE, _KEY_TILE, work.head_dim),
        ctas=ctas,
        waves=ctas / gpu.sms,
        tail_utilization=ctas / (rounds * gpu.sms),
    )


def _query_tiles(work: Attention) -> int:
    return work.batch * work.heads * math.ceil(work.query_length / _QUERY_TILE)


def _key_parts(work: Attention, sms: int) -> int:
    """Parts of the keys that run in parallel: decoding with few heads splits them to fill the GPU."""
    rows = _query_tiles(work)
    longest = max(1, math.ceil(work.key_length / (4 * _KEY_TILE)))
    return max(1, min(longest, sms // rows)) if rows < sms // 2 else 1


def _cta_us(work: Attention, key_parts: int, context: Context) -> float:
    """One CTA that has a whole SM: its two products and the exponentials between them, one after the other.

    Padding to whole tiles is included; a causal CTA skips the masked tiles.
    """
    gpu, constants = context.gpu, context.calibration.attention
    keys = math.ceil(work.key_length / key_parts / _KEY_TILE) * _KEY_TILE
    queries = _DECODE_TILE if work.query_length <= _DECODE_TILE else _QUERY_TILE
    scores = queries * keys * work.useful_macs / max(1, work.macs)
    # The fused kernels for 32-bit tensors multiply on plain units, whether or not TF32 is allowed.
    dtype = DataType.FP32 if context.dtype is DataType.TF32 else context.dtype
    matrix_rate = gpu.peak_tflops(dtype) * 1e6 / gpu.sms * constants.matrix_share
    exponential_rate = _EXPONENTIALS_PER_CYCLE * gpu.clock_mhz * constants.exponential_share
    return scores * (2.0 * (work.head_dim + work.value_dim) / matrix_rate + 1.0 / exponential_rate)


def _reloaded_bytes(work: Attention, dtype: DataType) -> float:
    """Keys and values that every row of query tiles loads again."""
    again = _query_tiles(work) - work.batch * work.heads
    kept = work.useful_macs / max(1, work.macs)
    return again * work.key_length * (work.head_dim + work.value_dim) * dtype.bytes * kept
