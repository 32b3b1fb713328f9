"""What PyTorch would choose for a layer under a setting, and what is best, from the rows that were measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from headroom.advise.case import Case
from headroom.advise.measurements import Measurements, usable
from headroom.advise.timed import TimedGraph
from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.store.rows import Timing

#: Layers whose implementation PyTorch leaves to a library.
LIBRARY_KINDS = frozenset({LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC})

#: The operators that PyTorch runs a product by.
_PRODUCTS = ("linear", "matmul")


@dataclass(frozen=True, slots=True)
class Setting:
    """How PyTorch is told to choose convolutions: the order of values in memory, and whether cuDNN times its plans."""

    layout: str = "nchw"
    benchmark: bool = False

    @property
    def row(self) -> str:
        """The name of its rows."""
        return "conv2d benchmark" if self.benchmark else "conv2d"


DEFAULT = Setting()


@dataclass(frozen=True)
class Choices:
    """The rows of every convolution and product of a model, by what was measured."""

    timed: TimedGraph
    rows: Mapping[str, Sequence[Timing]]

    @classmethod
    def of(cls, case: Case) -> Choices:
        return cls.read(case.timed, case.measurements)

    @classmethod
    def read(cls, timed: TimedGraph, measurements: Measurements | None) -> Choices:
        """All rows; none where nothing was measured."""
        if measurements is None:
            return cls(timed, {})
        chains = [Chain.of([c.layer]) for c in timed.graph.configurations if c.layer.kind in LIBRARY_KINDS]
        found = measurements.tried(chains, timed.dtype, timed.l2_state)
        return cls(timed, {digest: [row for row in rows if usable(row)] for digest, rows in found.items()})

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Convolutions and products (indices) of the model, in order."""
        return tuple(i for i, layer in enumerate(self.timed.graph.layers) if layer.kind in LIBRARY_KINDS)

    def all(self, layer: int) -> Sequence[Timing]:
        """Every usable row of a layer, the fastest first."""
        configuration = self.timed.configuration_of.get(layer)
        return () if configuration is None else self.rows.get(self._digests[configuration], ())

    def best(self, layer: int) -> Timing | None:
        """The fastest row of a layer."""
        return next(iter(self.all(layer)), None)

    def torch(self, layer: int, setting: Setting) -> Timing | None:
        """What PyTorch runs a layer by under ``setting``; a product has one row whatever the setting is.

        cuDNN's search times each plan once, launch and all, and so keeps one that is slower than the heuristic's pick
        about as often as a faster one: its own row is what it gives, not the better of the two.
        """
        convolution = self.timed.graph.layers[layer].kind is LayerKind.CONVOLUTION
        ours = sorted((row for row in self.all(layer) if row.implementation.backend == "torch"), key=self._is_stricter)
        if not convolution:
            return _first(row for name in _PRODUCTS for row in ours if row.implementation.name == name)
        wanted = (setting.row, setting.layout)
        return _first(row for row in ours if (row.implementation.name, row.implementation.layout) == wanted)

    def _is_stricter(self, row: Timing) -> bool:
        """Whether a row keeps fp32 where tf32 is allowed: PyTorch then takes tf32, faster or not."""
        return self.timed.dtype is DataType.TF32 and row.implementation.math != "tf32"

    @cached_property
    def _digests(self) -> Mapping[int, str]:
        configurations = enumerate(self.timed.graph.configurations)
        return {i: Chain.of([c.layer]).digest for i, c in configurations if c.layer.kind in LIBRARY_KINDS}


def _first(rows: Iterable[Timing]) -> Timing | None:
    return next(iter(rows), None)
