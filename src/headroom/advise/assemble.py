"""Putting a case together: times, bounds, whole runs and other data types of one model on one GPU."""

from __future__ import annotations

from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.execution import Execution
from headroom.advise.latency import latency_of
from headroom.advise.measurements import Measurements
from headroom.advise.networks import network_runs
from headroom.advise.other_dtypes import OtherTypes
from headroom.advise.timed import TimedGraph
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.store.rows import NetworkTiming


def assemble_case(
    graph: Graph,
    gpu: GpuSpec,
    dtype: DataType,
    l2_state: str = "warm",
    measurements: Measurements | None = None,
    *,
    theory_fills: bool = True,
    execution: Execution | None = None,
) -> Case:
    """What every question is asked about; the arguments are those of
    :func:`~headroom.advise.analyze.analyze_graph`.

    Raises:
        UsageError: the GPU has no unit for ``dtype``.
    """
    timed = TimedGraph.predict(graph, gpu, dtype, l2_state)
    runs: tuple[NetworkTiming, ...] = ()
    if measurements is not None:
        timed = timed.measured_by(measurements, theory_fills=theory_fills)
        runs = network_runs(graph, measurements)
    others = OtherTypes(timed, measurements)
    timed = others.own
    networks = tuple(run for run in runs if run.dtype is dtype)
    latency = latency_of(execution, networks)
    return Case(
        timed=timed,
        bounds=lower_bounds(timed),
        measurements=measurements,
        execution=execution,
        networks=networks,
        latency_us=None if latency is None else latency.time_us,
        other_dtypes=others,
        other_networks=tuple(run for run in runs if run.dtype is not dtype),
    )
