"""Cases for questions, from graphs and rows."""

from __future__ import annotations

from builders import H200
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.execution import Execution
from headroom.advise.latency import latency_of
from headroom.advise.other_dtypes import OtherTypes
from headroom.advise.timed import TimedGraph
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from measured_rows import Rows


def case_of(
    model: Graph,
    rows: Rows | None = None,
    dtype: DataType = DataType.BF16,
    gpu: GpuSpec = H200,
    execution: Execution | None = None,
) -> Case:
    """The case that an analysis makes of ``model`` and ``rows``."""
    timed = TimedGraph.predict(model, gpu, dtype, "warm")
    if rows is not None:
        timed = timed.measured_by(rows)
    networks = [] if rows is None else [run for run in rows.runs if run.dtype is dtype]
    latency = latency_of(execution, networks)
    return Case(
        timed=timed,
        bounds=lower_bounds(timed),
        measurements=rows,
        execution=execution,
        networks=networks,
        latency_us=None if latency is None else latency.time_us,
        other_dtypes=OtherTypes(timed, rows),
        other_networks=[] if rows is None else [run for run in rows.runs if run.dtype is not dtype],
    )


def case_from(timed: TimedGraph) -> Case:
    """A case without rows, around times that a test made up."""
    return Case(timed, lower_bounds(timed), other_dtypes=OtherTypes(timed))
