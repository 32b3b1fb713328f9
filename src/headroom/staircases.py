"""The library's front door to staircases: :func:`staircase`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.advise.findings.common import counted
from headroom.asking import L2_STATES, SOURCES, checked, gpu_spec, measured, refuse_database, wanted_type
from headroom.change.widths.staircase import study as engine
from headroom.change.widths.staircase.spec import Range, parse_conv
from headroom.change.widths.staircase.study import Subject, subjects_of, subjects_of_conv, variants_graph
from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.text import view

if TYPE_CHECKING:
    from headroom.change.widths.staircase.fleet import FleetStopwatch
    from headroom.change.widths.staircase.measuring import Stopwatch
    from headroom.measure.fleet.fleet import Fleet


class Study(engine.Study):
    """The answer, with the outputs that a program wants from it."""

    def __repr__(self) -> str:
        """One line: every point of every curve would fill a screen of thousands."""
        curves = sum(len(each.readings) for each in self.layers)
        return f"<Study of {view(self.model, 60)} on {view(self.gpu.name, 60)}: {counted(curves, 'staircase')}>"

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema in ``headroom/report/schema``)."""
        from headroom.report.staircase import to_dict

        return to_dict(self)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the self-contained page.

        Raises:
            UsageError: the place cannot be written.
        """
        from headroom.files import write_whole
        from headroom.report.html.staircase import render_staircases

        return write_whole(path, render_staircases(self))


def staircase(
    model: Graph | None = None,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    conv: str | None = None,
    layer: str | None = None,
    widths: str | None = None,
    in_widths: str | None = None,
    dtype: str | None = None,
    l2: str = "warm",
    source: str = "auto",
    db: str | os.PathLike[str] | None = None,
    system: str | None = None,
) -> Study:
    """Latency against width of a model's layers, or of a convolution in words, with steps and widths worth having.

    Args:
        model: what :func:`headroom.load` returns.
        conv: in place of a model: ``c=512,h=64,w=64,k=64:512,r=3,s=3,n=1``
            (:func:`headroom.change.widths.staircase.spec.parse_conv`).
        layer: the name of one layer, or of its module; every layer that has widths by default.
        widths, in_widths: ``FROM:TO`` or ``FROM:TO:STEP``: output widths, and input widths to look at them for.
        source: ``auto`` takes measured times where the database has them and scales predictions between them;
            ``measured`` shows measured widths only; ``predicted`` asks no database.

    The other arguments are those of :func:`headroom.analyze`.

    Raises:
        UsageError: the arguments do not go together, or name what is not there.
        StoreError: the database cannot be read, or has no such system.
    """
    spec = gpu_spec(gpu)
    checked("source", source, SOURCES)
    checked("l2", l2, L2_STATES)
    data_type = wanted_type(dtype, spec)
    subjects, name = _subjects(model, conv, layer, widths, in_widths, data_type)
    if source == "predicted":
        # A graph of all widths is work for nothing where no database is asked.
        refuse_database(db, system)
        return _answer(engine.study(name, subjects, spec, data_type, l2=l2, source=source))
    with measured(variants_graph(name, subjects), spec, data_type, l2, source, db, system) as known:
        return _answer(engine.study(name, subjects, spec, data_type, l2=l2, measurements=known, source=source))


def measure_staircase(
    model: Graph | None = None,
    gpu: str | os.PathLike[str] | GpuSpec = "h200",
    *,
    conv: str | None = None,
    layer: str | None = None,
    widths: str | None = None,
    in_widths: str | None = None,
    dtype: str | None = None,
    l2: str = "warm",
    db: str | os.PathLike[str] | None = None,
    index: int = 0,
    shared: bool = False,
    on_width: Callable[[int], None] = lambda width: None,
    fleet: Fleet | None = None,
) -> Study:
    """Measure staircases on this machine's GPU where a step can be, at most a quarter of the widths, then read them.

    Every width is kept in the database as it is done, so that an interrupted run goes on from there. The other
    arguments are those of :func:`staircase`.

    Args:
        gpu: the sheet whose theory says where a step can be: this GPU's.
        index: which of the machine's GPUs.
        shared: measure although others use the GPU, and say so in the rows.
        on_width: told each width before it is measured.
        fleet: whose GPUs measure, in place of this machine's.

    Raises:
        GpuError: there is no such GPU, it is busy, or measuring on it fails altogether.
        UsageError, StoreError: as :func:`staircase`.
    """
    from headroom.advise.stored import StoredMeasurements
    from headroom.change.widths.staircase.measuring import find_staircases, stopwatch
    from headroom.store.notebook import open_for_measuring

    spec = gpu_spec(gpu)
    data_type = wanted_type(dtype, spec)
    subjects, name = _subjects(model, conv, layer, widths, in_widths, data_type)
    with ExitStack() as opened:
        records = opened.enter_context(open_for_measuring(db))
        checked("l2", l2, L2_STATES)
        watch: Stopwatch | FleetStopwatch
        if fleet is not None:
            from headroom.change.widths.staircase.fleet import fleet_stopwatch

            where = None if db is None else os.fspath(db)
            watch = fleet_stopwatch(fleet, records, where, spec, data_type, l2=l2, shared=shared)
        else:
            watch = opened.enter_context(stopwatch(records, spec, data_type, l2=l2, index=index, shared=shared))
        find_staircases(subjects, watch, on_width=on_width)
        known = StoredMeasurements(records, watch.system)
        return _answer(engine.study(name, subjects, spec, data_type, l2=l2, measurements=known))


def _answer(found: engine.Study) -> Study:
    return Study(**{field.name: getattr(found, field.name) for field in fields(engine.Study)})


def _subjects(
    model: Graph | None, conv: str | None, layer: str | None, widths: str | None, in_widths: str | None, dtype: DataType
) -> tuple[tuple[Subject, ...], str]:
    """What to look at, and what the answer calls it."""
    if (model is None) == (conv is None):
        raise UsageError("a staircase is of a model or of a convolution in words: give one of the two")
    if conv is not None:
        if layer or widths or in_widths:
            raise UsageError("a convolution in words holds its widths: leave out layer, widths and in_widths")
        return subjects_of_conv(parse_conv(conv), dtype), conv
    assert model is not None
    out = None if widths is None else Range.parse(widths, "widths")
    into = None if in_widths is None else Range.parse(in_widths, "in_widths")
    return subjects_of(model, dtype, layer, out, into), model.name
