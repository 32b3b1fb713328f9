"""Layers that multiply matrices, and the unit that each of them runs on."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.advise.case import Case
from headroom.advise.kernel_names import Unit, alignment_of, unit_of, unit_of_all
from headroom.advise.timed import TimedGraph
from headroom.graph.graph import Configuration
from headroom.graph.layer import Layer
from headroom.graph.work import Convolution


@dataclass(frozen=True)
class Product:
    """One configuration. ``time_us`` and the kernels are of one occurrence: the user's run where there is a profile
    (``is_run``), else the fastest measured implementation; ``unit`` is ``None`` where neither is known.

    ``kernel`` is the one that multiplies, ``kernels`` are all of them.
    """

    configuration: Configuration
    time_us: float
    unit: Unit | None
    kernel: str = ""
    kernels: tuple[str, ...] = ()
    is_run: bool = False

    @property
    def layer(self) -> Layer:
        return self.configuration.layer

    @property
    def total_us(self) -> float:
        return self.time_us * self.configuration.count

    @property
    def is_padded(self) -> bool:
        """Whether a kernel of its own pads the operands each time."""
        return any("AddPadding" in name for name in self.kernels)

    @property
    def alignment(self) -> int | None:
        """Elements that the kernel loads at once, where its name tells."""
        return alignment_of(self.kernel)


def products(case: Case) -> tuple[Product, ...]:
    """Every product that has a time, in graph order."""
    found = []
    for index, (configuration, prediction) in enumerate(case.timed.pairs()):
        if configuration.layer.kind.computes_gemm and prediction.time_us is not None:
            run = _as_run(case, configuration)
            found.append(run or _as_measured(case.timed, index, configuration, prediction.time_us))
    return tuple(found)


def is_depthwise(layer: Layer) -> bool:
    """Whether each channel is convolved by itself, so that there is no matrix product in it."""
    return isinstance(layer.work, Convolution) and layer.work.is_depthwise


def _as_run(case: Case, configuration: Configuration) -> Product | None:
    """The first occurrence that the user's run has launches for."""
    execution = case.execution
    if execution is None:
        return None
    for member in configuration.members:
        place = execution.run_of.get(member)
        if place is None:
            continue
        run = execution.runs[place]
        names = [launch.name for launch in execution.launches(run)]
        if (unit := unit_of_all(names)) is not None:
            kernel = next(name for name in names if unit_of(name) is unit)
            return Product(configuration, run.time_us, unit, kernel, tuple(names), is_run=True)
    return None


def _as_measured(timed: TimedGraph, index: int, configuration: Configuration, time_us: float) -> Product:
    timing = timed.timing(index)
    names = [] if timing is None else [kernel.name for kernel in timing.kernels]
    unit = unit_of_all(names)
    kernel = next((name for name in names if unit is not None and unit_of(name) is unit), "")
    return Product(configuration, time_us, unit, kernel, tuple(names))
