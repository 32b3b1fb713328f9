"""Streaming layers on many designs: arrays of shape (designs, layers)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headroom.gpu.designs import Sheets, stack_of
from headroom.graph.layer import Layer
from headroom.predict.explore.figures import Figures, Floats, Index
from headroom.predict.explore.space import Setting
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.streaming import bar_kind_of, sort_of, streams_of
from headroom.predict.memory_bound import STREAM_LIMITS, estimate_streams
from headroom.predict.roofline import floors_of, useful_flops
from headroom.predict.sheet_doubt import widened_rows


class StreamLayers:
    """Layers whose time follows their bytes."""

    def __init__(self, layers: Sequence[Layer], counts: Floats, context: Context) -> None:
        self._counts, self._context = counts, context
        self._sorts = [sort_of(layer) for layer in layers]
        self._streams = streams_of(layers, context.dtype)
        self._flops = np.array([useful_flops(layer) for layer in layers], dtype=np.float64)
        self._moved = np.array([layer.bytes(context.dtype) for layer in layers], dtype=np.float64)
        self._multiplies = np.array([layer.kind.computes_gemm for layer in layers], dtype=bool)
        kinds = [bar_kind_of(layer) for layer in layers]
        self._bars = {regime: self._error_pcts(kinds, regime) for regime in ("short", "long")}

    def __len__(self) -> int:
        return len(self._counts)

    def _error_pcts(self, kinds: Sequence[str], regime: str) -> Floats:
        c = self._context
        pcts = (c.calibration.error_pct(kind, "plain", c.gpu, regime, c.dtype, c.l2_state) for kind in kinds)
        return np.array(list(pcts), dtype=np.float64)

    def add_to(self, figures: Figures, sheets: Sheets, which: Index, tile: Setting) -> None:
        c, gpu = self._context, stack_of(sheets, which, (-1, 1))
        plain = gpu.peak_tflops(c.dtype, tensor=False)
        found = estimate_streams(self._streams, self._sorts, gpu, plain, c.stream_constants, c.l2_state)
        peak = np.where(self._multiplies, gpu.peak_tflops(c.dtype), plain)
        floor = floors_of(self._flops, self._moved, peak, gpu, c.l2_state)
        shape = (len(which), len(self))
        bars, limits = np.where(found.is_short, self._bars["short"], self._bars["long"]), found.limit
        figures.add(
            np.broadcast_to(np.maximum(found.time_us, floor), shape),
            widened_rows(bars, limits, STREAM_LIMITS, c.gpu),
            np.broadcast_to(found.dram_bytes, shape),
            limits,
            STREAM_LIMITS,
            self._counts,
        )
