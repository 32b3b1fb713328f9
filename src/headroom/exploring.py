"""The library's door to exploration: a model on GPUs that differ from one in a few fields."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from headroom.asking import L2_STATES, checked, gpu_spec, wanted_type
from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.predict.explore import explore as engine
from headroom.predict.explore.cost import Cost, cost_of, read_cost
from headroom.predict.explore.designs_file import read_designs
from headroom.predict.explore.space import Space, grid, named
from headroom.text import view

Setting = float | str
StrPath = str | os.PathLike[str]


class Exploration(engine.Exploration):
    """The answer, with the outputs that a program wants from it."""

    def __repr__(self) -> str:
        """One line: the model's layers and the designs' arrays would fill a screen of a thousand."""
        designs = f"{len(self.space)} designs, {len(self.possible)} possible"
        return f"<Exploration of {view(self.graph.name, 60)} on {designs}, from {view(self.gpu.name, 60)}>"

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema in ``headroom/report/schema``)."""
        from headroom.report.exploration import to_dict

        return to_dict(self)

    def to_html(self, path: StrPath) -> Path:
        """Write the self-contained page.

        Raises:
            UsageError: the place cannot be written.
        """
        from headroom.files import write_whole
        from headroom.report.html.exploration import render_exploration

        return write_whole(path, render_exploration(self))


def explore(
    graph: Graph,
    gpu: StrPath | GpuSpec,
    vary: Mapping[str, Sequence[Setting]] | None = None,
    *,
    designs: StrPath | Mapping[str, Mapping[str, Setting]] | None = None,
    cost: StrPath | Mapping[str, Any] | Cost | None = None,
    theory: str = "calibrated",
    dtype: str | None = None,
    l2: str = "warm",
) -> Exploration:
    """The predicted time of ``graph``, one layer after another, on GPUs like ``gpu`` but for a few fields.

    Args:
        vary: fields of a sheet (or ``tile``) with the settings that each takes; every combination is a design. A
            setting is a factor (``2`` or ``"x2"``) on what the field would otherwise be, or a value (``"@112"``).
        designs: designs by name in place of a grid, each with one setting per field; or the path of such a file.
        cost: what a design costs: the path of a cost file, its content, or a :class:`Cost`.
        theory: ``calibrated``, or ``delta``, the published model of im2col kernels.
        dtype, l2: as for :func:`headroom.analyze`.

    Raises:
        UsageError: an unknown field, a setting that is none, no or too many designs, none that is a possible GPU, or a
            file that cannot be read; the sentence names it.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"explore takes what load returns, not {type(graph).__name__}: explore(load(model), gpu, …)")
    spec = gpu_spec(gpu)
    space = _space(vary, designs, spec)
    checked("l2", l2, L2_STATES)
    data_type = wanted_type(dtype, spec)
    answer = engine.explore_space(graph, spec, space, data_type, l2_state=l2, theory=theory, cost=_cost(cost))
    return Exploration(**{field.name: getattr(answer, field.name) for field in fields(engine.Exploration)})


def _space(
    vary: Mapping[str, Sequence[Setting]] | None,
    designs: StrPath | Mapping[str, Mapping[str, Setting]] | None,
    gpu: GpuSpec,
) -> Space:
    if designs is None:
        return grid(vary or {}, gpu)
    if vary:
        raise UsageError("a grid and named designs are two questions: give vary or designs")
    return named(designs if isinstance(designs, Mapping) else read_designs(Path(designs)), gpu)


def _cost(cost: StrPath | Mapping[str, Any] | Cost | None) -> Cost | None:
    if cost is None or isinstance(cost, Cost):
        return cost
    return cost_of(cost) if isinstance(cost, Mapping) else read_cost(Path(cost))
