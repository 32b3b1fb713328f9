"""``headroom measure --fleet``: the same command on many GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from headroom.cli.fleets import connected
from headroom.cli.measuring import Asked, Watch, outlook, summary
from headroom.errors import GpuError
from headroom.gpu.sheets import gpu_of_driver
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.fleet.sweep import measure_on_fleet
from headroom.measure.run import Wishes, usual_type_of


def measure_with(
    fleet: str,
    tls: Path | None,
    asked: Sequence[tuple[Asked, Graph]],
    dtypes: Sequence[DataType],
    wishes: Wishes,
    show: Callable[[Iterable[str]], None],
    *,
    quiet: bool,
) -> None:
    """Measure on every kind of GPU of a fleet, and show what each did.

    Raises:
        GpuError: a kind of GPU was lost; what the others measured is kept and was shown.
    """
    where = asked[0][0].db
    with connected(fleet, tls) as there, Watch(quiet=quiet) as watch:
        try:
            report = measure_on_fleet(
                there, [graph for _, graph in asked], dtypes, where=where, wishes=wishes, on_progress=watch
            )
        except KeyboardInterrupt:
            show(watch.how_far(resumes=wishes.again is None or wishes.again.failed_only))
            raise
    for sweep in report.sweeps:
        show(summary(sweep))
        for one, graph in asked:
            for dtype in dtypes or (usual_type_of(gpu_of_driver(sweep.system.gpu)),):
                show(outlook(one, graph, dtype, sweep.system))
    if report.lost:
        raise GpuError(f"not measured on {'; '.join(report.lost)}; layers that were done are kept, run the same again")
