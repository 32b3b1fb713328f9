"""The library's front door: :func:`analyze` a model that was loaded, take the answer along."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.advise import analysis as advised
from headroom.advise.analyze import analyze_graph
from headroom.advise.stored import measurements_of
from headroom.asking import L2_STATES, SOURCES, checked, default_dtype, gpu_spec, refuse_database
from headroom.errors import StoreError, UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType

if TYPE_CHECKING:
    import pandas as pd

    from headroom.advise.execution import Execution
    from headroom.measure.profiles.profile import Profile


class Analysis(advised.Analysis):
    """The answer, with the outputs that a program wants from it."""

    @property
    def layers(self) -> pd.DataFrame | list[dict[str, Any]]:
        """One row per configuration: a pandas DataFrame where pandas is installed, else a list of dicts."""
        rows: list[dict[str, Any]] = self.to_dict()["layers"]
        try:
            import pandas as pd
        except ImportError:
            return rows
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The JSON contract (schema in ``headroom/report/schema``)."""
        from headroom.report.answer import to_dict

        return to_dict(self)

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the self-contained report.

        Raises:
            UsageError: the place cannot be written.
        """
        from headroom.files import write_whole
        from headroom.report.html import render_html

        return write_whole(path, render_html([self]))


def analyze(
    graph: Graph,
    gpu: str | os.PathLike[str] | GpuSpec,
    dtype: str | None = None,
    *,
    l2: str = "warm",
    source: str = "auto",
    db: str | os.PathLike[str] | None = None,
    system: str | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    direction: str = "forward",
) -> Analysis:
    """How fast ``graph`` could run on ``gpu``, what limits it, and what to do.

    Args:
        gpu: a sheet's id or an unambiguous prefix, a driver's name, the path of a sheet, or a sheet.
        dtype: ``fp32`` (tf32 off), ``tf32``, ``fp16``, ``bf16`` or ``fp8``; if not given what the profile ran in, else
            :func:`default_dtype`.
        l2: ``warm`` (a layer finds its inputs in L2 where they fit) or ``cold``.
        source: ``auto`` takes measured times where the database has them and predicts the rest; ``measured`` calls
            the rest unknown; ``predicted`` asks no database.
        db: the performance database: a path or a URL; by default the user's own, if there is one, and the
            measurements that come with the package.
        system: id of the system whose measurements count; by default the one of this GPU that knows most of
            the model's layers.
        profile: the user's own run of the model on this GPU, at the batch of ``graph``: the path of what a profiler
            wrote, or what :func:`load_profile` returns. Savings then come off that run.
        direction: ``forward``, ``dgrad`` or ``wgrad`` (the gradients of convolutions and products alone), or
            ``training`` (forward and backward).

    Raises:
        UsageError: an unknown name, a data type that the GPU lacks, a system of another GPU, or a profile of another.
        ProfileError: the profile cannot be read, or is not one of this model at this batch.
        StoreError: the database cannot be read, has no such system, or (``measured``) nothing of this model.
    """
    if not isinstance(graph, Graph):
        raise UsageError(f"analyze takes what load returns, not {type(graph).__name__}: analyze(load(model), gpu)")
    spec = gpu_spec(gpu)
    checked("source", source, SOURCES)
    checked("l2", l2, L2_STATES)
    if direction != "forward":
        from headroom.advise.passes import graph_of_passes

        if profile is not None:
            raise UsageError("a profile is of inference: leave out direction or the profile")
        graph = graph_of_passes(graph, direction)
    execution = None if profile is None else _execution(profile, graph, spec)
    data_type = _data_type(dtype, spec, execution)
    if source == "predicted":
        refuse_database(db, system)
        answer = analyze_graph(graph, spec, data_type, l2, execution=execution)
    else:
        answer = _from_measurements(graph, spec, data_type, l2, source == "auto", db, system, execution)
    values = {field.name: getattr(answer, field.name) for field in fields(advised.Analysis)}
    return Analysis(**{**values, "direction": direction})


def _from_measurements(
    graph: Graph,
    gpu: GpuSpec,
    dtype: DataType,
    l2: str,
    theory_fills: bool,
    db: str | os.PathLike[str] | None,
    system: str | None,
    execution: Execution | None,
) -> advised.Analysis:
    # Answers from theory do without SQLAlchemy.
    from headroom.store.default import open_for_reading

    try:
        with open_for_reading(db) as store:
            measurements = measurements_of(store, graph, gpu, dtype, l2, system)
            return analyze_graph(graph, gpu, dtype, l2, measurements, theory_fills=theory_fills, execution=execution)
    except StoreError as error:
        if not theory_fills or db is not None or system is not None:
            raise
        # Nobody asked for a database: the way around it has to be named.
        raise StoreError(f"{error}; or answer from theory with --source predicted") from error


def load_profile(path: str | os.PathLike[str]) -> Profile:
    """Read what a profiler wrote while a model ran: a trace of PyTorch's profiler, a profile of ONNX Runtime.

    Raises:
        ProfileError: it cannot be read, is damaged, or is of no kind that Headroom reads.
    """
    from headroom.measure.profiles.reading import read_profile

    return read_profile(path)


def _execution(profile: str | os.PathLike[str] | Profile, graph: Graph, gpu: GpuSpec) -> Execution:
    from headroom.advise.own_run import own_run

    return own_run(load_profile(profile) if isinstance(profile, (str, os.PathLike)) else profile, graph, gpu)


def _data_type(dtype: str | None, gpu: GpuSpec, execution: Execution | None) -> DataType:
    """The type that was asked for, else that of the run, else the GPU's."""
    if dtype is None:
        ran_in = None if execution is None else execution.dtype
        return ran_in or default_dtype(gpu)
    asked = DataType(checked("dtype", dtype, tuple(DataType)))
    if execution is not None:
        from headroom.advise.own_run import check_type

        check_type(execution, asked)
    return asked
