"""What a theory says about many designs, and the protocol that a theory follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.designs import Sheets
from headroom.graph.layer import Layer
from headroom.predict.error_sums import of_sum
from headroom.predict.explore.space import Setting
from headroom.predict.prediction import Bottleneck

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

#: Columns of :attr:`Figures.limited_us`.
LIMITS = tuple(Bottleneck)
_COLUMN = {limit: at for at, limit in enumerate(LIMITS)}


@dataclass(frozen=True)
class Figures:
    """The whole model on many designs, every layer as often as the model has it.

    ``time_us``, ``bars_us`` and ``squared_bars`` (sums of the layers' error bars and of their squares; NaN where the
    theory states none) and ``dram_bytes`` have shape (D,); ``limited_us`` of shape (D, len(LIMITS)) divides the time by
    what limits each layer.
    """

    time_us: Floats
    bars_us: Floats
    squared_bars: Floats
    dram_bytes: Floats
    limited_us: Floats

    @classmethod
    def zeros(cls, designs: int) -> Figures:
        time_us, bars_us, squared_bars, dram_bytes = np.zeros((4, designs))
        return cls(time_us, bars_us, squared_bars, dram_bytes, np.zeros((designs, len(LIMITS))))

    @property
    def error_us(self) -> Floats:
        """Half-width of the time's error bar; NaN where the theory states none."""
        return of_sum(self.bars_us, self.squared_bars)

    def put(self, which: Index, other: Figures) -> None:
        """Take the designs ``which`` from ``other``."""
        for name in _NAMES:
            getattr(self, name)[which] = getattr(other, name)

    def accumulate(self, which: slice, other: Figures) -> None:
        """Add what ``other`` says of further layers on the designs ``which``."""
        for name in _NAMES:
            getattr(self, name)[which] += getattr(other, name)

    def only(self, which: Index) -> Figures:
        """The designs ``which``."""
        return Figures(*(getattr(self, name)[which] for name in _NAMES))

    def add(
        self,
        time_us: Floats,
        error_pct: Floats | float,
        dram_bytes: Floats,
        limit: Index,
        names: Sequence[Bottleneck],
        counts: Floats,
    ) -> None:
        """Add layers: arrays of shape (D, P), ``limit`` indexing ``names``, ``counts`` of shape (P,)."""
        took = time_us * counts
        self.time_us[:] += took.sum(axis=1)
        bars = took * error_pct / 100.0
        self.bars_us[:] += bars.sum(axis=1)
        self.squared_bars[:] += (bars * bars).sum(axis=1)
        self.dram_bytes[:] += (dram_bytes * counts).sum(axis=1)
        for at, name in enumerate(names):
            self.limited_us[:, _COLUMN[name]] += np.where(limit == at, took, 0.0).sum(axis=1)


_NAMES = tuple(field.name for field in fields(Figures))


class Theory(Protocol):
    """Predicts a model on many designs at once."""

    @property
    def name(self) -> str:
        """What the answer calls the theory."""

    @property
    def left_out(self) -> Sequence[Layer]:
        """Layers that the theory says nothing about: no figure contains them."""

    def figures(self, sheets: Sheets, which: Index, tile: Setting) -> Figures:
        """The designs ``which`` of ``sheets``, in that order, all with the same setting of the tile."""
