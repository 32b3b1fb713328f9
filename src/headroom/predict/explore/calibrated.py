"""The calibrated theory on many designs at once: the formulas of single predictions, on sheets that hold arrays.

The figures are those of :func:`headroom.predict.model.predict_layers` on each design alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from headroom.gpu.designs import Sheets, design_of, stack_of, tensor_cores_win
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.explore.figures import LIMITS, Figures, Floats, Index
from headroom.predict.explore.products import Products
from headroom.predict.explore.space import Setting
from headroom.predict.explore.streams import StreamLayers
from headroom.predict.kinds import PREDICTORS
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import is_direct, sorts_of
from headroom.predict.sheet_doubt import widened

#: Rows (designs times layers) looked at together: enough to hide what each call costs, few enough to stay small.
_ROWS_AT_ONCE = 4096

#: By how much less plain units multiply than tensor cores that still run the products: nothing that a time shows.
_HARDLY = 1e-9

#: Kinds whose kernels have multiplier tiles.
_TILED = frozenset({LayerKind.CONVOLUTION, LayerKind.MATMUL})

#: Kinds whose kernels have no multiplier tiles.
_STREAMED = frozenset(
    {
        LayerKind.MATVEC, LayerKind.NORMALIZATION, LayerKind.POOLING, LayerKind.SOFTMAX, LayerKind.ACTIVATION,
        LayerKind.ELEMENTWISE, LayerKind.REDUCTION, LayerKind.MOVEMENT, LayerKind.EMBEDDING,
    }
)  # fmt: skip


class Part(Protocol):
    """Layers that one formula answers for."""

    def __len__(self) -> int: ...

    def add_to(self, figures: Figures, sheets: Sheets, which: Index, tile: Setting) -> None:
        """Add the layers' figures on the designs ``which``."""


class CalibratedTheory:
    """The package's own theory; ``left_out`` are the layers that it does not know."""

    name = "calibrated"

    def __init__(self, graph: Graph, dtype: DataType, l2_state: str, calibration: Calibration) -> None:
        known = [c for c in graph.configurations if c.layer.kind is not LayerKind.UNKNOWN]
        self.left_out = [c.layer for c in graph.configurations if c.layer.kind is LayerKind.UNKNOWN]
        self._layers = [c.layer for c in known]
        self._counts = np.array([c.count for c in known], dtype=np.float64)
        self._dtype, self._l2_state, self._calibration = dtype, l2_state, calibration
        self._parts: dict[bool, list[Part]] = {}

    def figures(self, sheets: Sheets, which: Index, tile: Setting) -> Figures:
        answer = Figures.zeros(len(which))
        wins = tensor_cores_win(stack_of(sheets, which, (-1,)), self._dtype)
        on_tensor_cores = np.broadcast_to(wins, (len(which),))
        for unit in (False, True):
            mine = np.flatnonzero(on_tensor_cores == unit)
            if len(mine):
                answer.put(mine, self._on_one_unit(sheets, which[mine], tile, unit))
        idle = np.flatnonzero(~on_tensor_cores & (self._tensor_rates(sheets)[which] > 0.0))
        if len(idle):
            # Faster plain units take no tensor cores away: a library runs on whichever is faster.
            other = self._on_one_unit(self._with_slower_plain_units(sheets), which[idle], tile, True)
            faster = np.flatnonzero(other.time_us < answer.time_us[idle])
            answer.put(idle[faster], other.only(faster))
        return answer

    def _tensor_rates(self, sheets: Sheets) -> Floats:
        count = len(next(iter(sheets.columns.values())))
        return sheets.columns.get(f"tensor_tflops.{self._dtype}", np.zeros(count))

    def _with_slower_plain_units(self, sheets: Sheets) -> Sheets:
        """Plain units that multiply this data type no faster than tensor cores, which then run its products."""
        name = f"plain_tflops.{self._dtype}"
        slower = np.minimum(sheets.columns[name], (1.0 - _HARDLY) * self._tensor_rates(sheets))
        return replace(sheets, columns={**sheets.columns, name: slower})

    def _on_one_unit(self, sheets: Sheets, which: Index, tile: Setting, unit: bool) -> Figures:
        """Designs that multiply on the same kind of unit."""
        if unit not in self._parts:
            self._parts[unit] = self._parts_for(design_of(sheets, int(which[0])))
        answer = Figures.zeros(len(which))
        for part in self._parts[unit]:
            step = max(1, _ROWS_AT_ONCE // len(part))
            for start in range(0, len(which), step):
                chunk = slice(start, start + step)
                some = Figures.zeros(len(which[chunk]))
                part.add_to(some, sheets, which[chunk], tile)
                answer.accumulate(chunk, some)
        return answer

    def _parts_for(self, gpu: GpuSpec) -> list[Part]:
        context = Context(gpu, self._dtype, self._l2_state, None, self._calibration)
        direct = [is_direct(layer) for layer in self._layers]
        tiled = [i for i, x in enumerate(self._layers) if x.kind in _TILED and not direct[i]]
        streamed = [i for i, x in enumerate(self._layers) if x.kind in _STREAMED or direct[i]]
        rest = sorted({*range(len(self._layers))} - {*tiled, *streamed})
        parts: list[Part] = []
        by_sort: dict[str, list[int]] = {}
        for i, sort in zip(tiled, sorts_of([self._layers[i] for i in tiled], context), strict=True):
            by_sort.setdefault(sort, []).append(i)
        for sort, members in by_sort.items():
            parts += Products.of([self._layers[i] for i in members], self._counts[members], sort, context)
        if streamed:
            parts.append(StreamLayers([self._layers[i] for i in streamed], self._counts[streamed], context))
        if rest:
            parts.append(OneByOne([self._layers[i] for i in rest], self._counts[rest], context))
        return parts


class OneByOne:
    """Layers whose predictor takes one GPU at a time (attention, recurrent stacks)."""

    def __init__(self, layers: Sequence[Layer], counts: Floats, context: Context) -> None:
        self._layers, self._counts, self._context = layers, counts, context

    def __len__(self) -> int:
        return len(self._layers)

    def add_to(self, figures: Figures, sheets: Sheets, which: Index, tile: Setting) -> None:
        shape = (len(which), len(self._layers))
        time, error, dram = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        limit = np.zeros(shape, dtype=np.intp)
        c = self._context
        for row, design in enumerate(which):
            context = Context(design_of(sheets, int(design)), c.dtype, c.l2_state, c.layout, c.calibration)
            for column, layer in enumerate(self._layers):
                found = PREDICTORS[layer.kind]([layer], context)[0]
                time[row, column] = found.time_us or 0.0
                error[row, column] = widened(found.error_pct or 0.0, found.bottleneck, context.gpu)
                dram[row, column], limit[row, column] = found.dram_bytes, LIMITS.index(found.bottleneck)
        figures.add(time, error, dram, limit, LIMITS, self._counts)
