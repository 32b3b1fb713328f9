"""From a model and a space of designs to the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headroom.errors import UsageError
from headroom.gpu.designs import Sheets, design_of, sheets_of, stack_of
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import unit_of
from headroom.predict.explore.calibrated import CalibratedTheory
from headroom.predict.explore.cost import Cost
from headroom.predict.explore.figures import LIMITS, Figures, Floats, Index, Theory
from headroom.predict.explore.published import PublishedTheory
from headroom.predict.explore.space import NEUTRAL, Space
from headroom.predict.model import check_asked
from headroom.predict.own.choice import calibration_note, calibration_of, calibration_title
from headroom.predict.prediction import Bottleneck
from headroom.predict.tile_fit import fits, misfit
from headroom.predict.tiles import main_loop_depth

#: Theories that an exploration can ask.
THEORIES = (CalibratedTheory.name, PublishedTheory.name)

#: Designs whose figures are worked out together.
_DESIGNS_AT_ONCE = 2048


@dataclass(frozen=True)
class Exploration:
    """A model on every possible design of a space, and on the GPU that they are compared with.

    ``possible`` are the designs (by index into ``space``) that a GPU could be; every array has one entry per possible
    design, in that order. ``costs`` and ``on_front`` are None without a cost function: a design is on the front when
    no other is both as fast and as cheap. ``idle_axes`` changed no time anywhere. ``calibration`` says what the
    constants were fitted to, empty under a theory without any; ``calibration_note`` what a user's own changes.
    """

    graph: Graph
    gpu: GpuSpec
    dtype: DataType
    l2_state: str
    theory: str
    space: Space
    sheets: Sheets
    possible: Index
    base: Figures
    figures: Figures
    cost: Cost | None
    costs: Floats | None
    base_cost: float | None
    on_front: NDArray[np.bool_] | None
    left_out: tuple[Layer, ...]
    idle_axes: tuple[str, ...]
    calibration: str = ""
    calibration_note: str = ""

    def __len__(self) -> int:
        return len(self.possible)

    @property
    def speedups(self) -> Floats:
        ratios: Floats = self.base.time_us[0] / self.figures.time_us
        return ratios

    @property
    def error_pcts(self) -> Floats:
        """Error bars in percent; NaN where the theory states none."""
        return 100.0 * self.figures.error_us / self.figures.time_us

    def shares(self, at: int) -> dict[Bottleneck, float]:
        """Of one possible design, the share of its time that each bottleneck limits; the largest first."""
        return shares_of(self.figures, at)

    @property
    def by_time(self) -> Index:
        """The possible designs, fastest first; of equals the cheaper."""
        keys = (self.figures.time_us,) if self.costs is None else (self.costs, self.figures.time_us)
        return np.lexsort(keys)


def shares_of(figures: Figures, at: int) -> dict[Bottleneck, float]:
    parts = figures.limited_us[at] / figures.time_us[at]
    return {LIMITS[i]: float(parts[i]) for i in np.argsort(-parts, kind="stable") if parts[i] > 0}


def explore_space(
    graph: Graph,
    gpu: GpuSpec,
    space: Space,
    dtype: DataType,
    *,
    l2_state: str = "warm",
    theory: str = CalibratedTheory.name,
    cost: Cost | None = None,
    calibration: Calibration | None = None,
) -> Exploration:
    """The time of ``graph``, one layer after another, on every design of ``space``.

    Raises:
        UsageError: an unknown theory or cache state, a data type that the GPU does not multiply, a model that the
            theory knows nothing of, or a space in which no design is a possible GPU.
    """
    check_asked(gpu, dtype, l2_state, None)
    asked = _theory(theory, graph, dtype, l2_state, calibration or calibration_of(gpu))
    sheets = sheets_of(gpu, space.settings, len(space))
    sheets = replace(sheets, impossible={**_impossible_tiles(space, sheets, dtype), **sheets.impossible})
    possible = np.array([i for i in range(len(space)) if i not in sheets.impossible], dtype=np.intp)
    if not len(possible):
        raise UsageError(f"no design is a possible GPU: {space.name(0)}: {sheets.impossible[0]}")
    own = sheets_of(gpu, {}, 1)
    base = asked.figures(own, np.zeros(1, dtype=np.intp), NEUTRAL)
    if not base.time_us[0] > 0:
        raise UsageError(f"{graph.name} has no layer that theory {theory} knows; nothing can be compared")
    every = Figures.zeros(len(space))
    for setting, members in space.tiles:
        mine = members[np.isin(members, possible)]
        for start in range(0, len(mine), _DESIGNS_AT_ONCE):
            some = mine[start : start + _DESIGNS_AT_ONCE]
            every.put(some, asked.figures(sheets, some, setting))
    figures = every.only(possible)
    costs = None if cost is None else cost.of(sheets)[possible]
    return Exploration(
        graph, gpu, dtype, l2_state, theory, space, sheets, possible, base, figures, cost, costs,
        None if cost is None else float(cost.of(own)[0]),
        None if costs is None else front(figures.time_us, costs),
        tuple(asked.left_out),
        _idle_axes(space, every.time_us, set(sheets.impossible)),
        *(("", "") if theory != CalibratedTheory.name or calibration is not None else _own_words(gpu)),
    )  # fmt: skip


def _impossible_tiles(space: Space, sheets: Sheets, dtype: DataType) -> dict[int, str]:
    """Designs whose tile no SM of theirs could hold, and why; without its K, a tile has the library's usual one."""
    reasons: dict[int, str] = {}
    for setting, members in space.tiles:
        if setting.size is not None:
            m, n, k = (np.array(float(part)) for part in setting.size)
            usual = main_loop_depth(sheets.base, dtype, unit_of(sheets.base, dtype))
            k = np.where(k > 0, k, usual)
            held = fits(m, n, k, stack_of(sheets, members, (-1,)), dtype)
            for design in members[~held]:
                reasons[int(design)] = misfit(float(m), float(n), float(k), design_of(sheets, int(design)), dtype)
    return reasons


def _own_words(gpu: GpuSpec) -> tuple[str, str]:
    """What the constants were fitted to, and what a user's own change: every design starts from the GPU's."""
    return calibration_title(gpu), calibration_note(gpu) or ""


def front(times: Floats, costs: Floats) -> NDArray[np.bool_]:
    """Which designs no other beats: none is as fast and cheaper, or as cheap and faster. Of equals all are."""
    order = np.lexsort((times, costs))
    best = np.minimum.accumulate(times[order])
    before = np.concatenate([[np.inf], best[:-1]])
    on = np.zeros(len(times), dtype=bool)
    on[order] = times[order] < before
    twins = {(time, cost) for time, cost in zip(times[on], costs[on], strict=True)}
    equal = [i for i in np.flatnonzero(~on) if (times[i], costs[i]) in twins]
    on[equal] = True
    return on


def _theory(name: str, graph: Graph, dtype: DataType, l2_state: str, calibration: Calibration) -> Theory:
    if name == PublishedTheory.name:
        return PublishedTheory(graph, dtype)
    if name == CalibratedTheory.name:
        return CalibratedTheory(graph, dtype, l2_state, calibration)
    raise UsageError(f"unknown theory {name!r}: choose {' or '.join(THEORIES)}")


def _idle_axes(space: Space, times: Floats, impossible: set[int]) -> tuple[str, ...]:
    """Axes of a grid along which no time changes: the theory does not look at them, or nothing depends on them."""
    if space.given_names:
        return ()
    lattice = times.copy()
    lattice[list(impossible)] = np.nan
    lattice = lattice.reshape([len(axis.settings) for axis in space.axes])
    moves = [np.fmax.reduce(lattice, axis=at) > np.fmin.reduce(lattice, axis=at) for at in range(lattice.ndim)]
    several = (len(axis.settings) > 1 for axis in space.axes)
    return tuple(
        axis.name for axis, moved, more in zip(space.axes, moves, several, strict=True) if more and not moved.any()
    )
