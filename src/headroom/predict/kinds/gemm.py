"""Convolutions and matrix products as an answer has them: tiles on tensor cores or plain units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headroom.graph.layer import Layer
from headroom.graph.work import Convolution
from headroom.predict.counted_launches import COUNTED
from headroom.predict.gemm_problems import Tiles
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import is_direct, sorts_of, tiled_of
from headroom.predict.kinds.products import LIMITS, judged, surrounded
from headroom.predict.kinds.streaming import predict_streams
from headroom.predict.library import fastest
from headroom.predict.prediction import Prediction, Source
from headroom.predict.roofline import useful_flops
from headroom.predict.transformed import title


def predict_convolutions(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Depthwise layers as streaming kernels, the others as implicit GEMMs."""
    direct = [is_direct(layer) for layer in layers]
    streams = iter(predict_streams([x for x, d in zip(layers, direct, strict=True) if d], context))
    tiled = iter(predict_gemms([x for x, d in zip(layers, direct, strict=True) if not d], context))
    return [next(streams) if d else next(tiled) for d in direct]


def predict_gemms(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """Every layer with the fastest of the library's tiles."""
    if not layers:
        return []
    groups: dict[str, list[int]] = {}
    for index, sort in enumerate(sorts_of(layers, context)):
        groups.setdefault(sort, []).append(index)
    answers: dict[int, Prediction] = {}
    for sort, members in groups.items():
        group = _predict_group([layers[i] for i in members], context, sort)
        answers.update(zip(members, group, strict=True))
    return [answers[i] for i in range(len(layers))]


def _predict_group(layers: Sequence[Layer], context: Context, sort: str) -> list[Prediction]:
    gpu, dtype = context.gpu, context.dtype
    tiled = tiled_of(layers, dtype, sort, sized=context.unit == "plain" or gpu.compute_capability in COUNTED)
    choice = fastest(tiled, gpu, dtype, context.calibration, context.l2_state)
    choice = surrounded(tiled, choice, context.transposes, context)
    flops = np.array([useful_flops(layer) for layer in layers], dtype=np.float64)
    moved = np.array([layer.bytes(dtype) for layer in layers], dtype=np.float64)
    found = judged(tiled, choice, flops, moved, gpu, context)
    best, names = choice.estimate, choice.transformed.tolist()
    tiles = _whole_numbers(choice.tiles)
    columns = zip(
        layers, found.time_us.tolist(), found.error_pct.tolist(), found.limit.tolist(), found.floor_us.tolist(),
        best.l1_bytes.tolist(), best.l2_bytes.tolist(), best.dram_bytes.tolist(), best.ctas.tolist(),
        best.waves.tolist(), best.tail_utilization.tolist(), names, tiles, strict=True,
    )  # fmt: skip
    return [
        Prediction(
            time_us, error_pct, Source.PREDICTED, LIMITS[limit], floor_us, l1, l2, dram,
            _algorithm(layer, name, tile, context.unit), tile[:3] if tile[0] else None, int(ctas), waves, tail,
            _notes(layer, name, context),
        )
        for layer, time_us, error_pct, limit, floor_us, l1, l2, dram, ctas, waves, tail, name, tile in columns
    ]  # fmt: skip


def _whole_numbers(tiles: Tiles) -> list[tuple[int, int, int, int]]:
    """Each product's tile and the parts of its K."""
    rows = np.stack([tiles.m, tiles.n, tiles.k, tiles.splits], axis=1).astype(np.int64).tolist()
    return [(m, n, k, splits) for m, n, k, splits in rows]


def _algorithm(layer: Layer, transformed: str, tile: tuple[int, int, int, int], unit: str) -> str:
    if transformed:
        return f"{title(transformed)}, on plain units"
    name = "implicit GEMM" if isinstance(layer.work, Convolution) else "GEMM"
    m, n, _, split = tile
    suffix = f", K split {split} ways" if split > 1 else ""
    where = "tensor cores" if unit == "tensor" else "plain units"
    return f"{name} on {where}, {m}x{n} tiles{suffix}"


def _notes(layer: Layer, transformed: str, context: Context) -> tuple[str, ...]:
    """Sentences that name a layer whose kernel is not im2col (``transformed``), or that runs more than one kernel."""
    work = layer.work
    if not isinstance(work, Convolution):
        return ()
    notes: list[str] = []
    if context.transposes and work.direction == "forward":
        notes.append("the time contains the kernels that transpose NCHW tensors to NHWC and back")
    if transformed:
        notes.append(f"not im2col: the library runs it faster by another algorithm ({title(transformed)})")
    return tuple(notes)
