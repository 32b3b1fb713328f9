"""How long frameworks take for the whole model, where that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from headroom import figures
from headroom.advise.measurements import Measurements, error_pct, usable
from headroom.graph.chain import graph_digest
from headroom.graph.graph import Graph
from headroom.store.rows import NetworkTiming


def network_runs(graph: Graph, measurements: Measurements) -> tuple[NetworkTiming, ...]:
    """Runs of this very model at this batch, in any type: the fastest first, then those that gave no time."""
    runs = [run for run in measurements.networks(graph_digest(graph)) if run.batch == graph.batch]
    return tuple(sorted(runs, key=lambda run: (not usable(run), _sortable_us(run), run.mode, run.measured_at)))


def fastest_run(runs: Sequence[NetworkTiming]) -> NetworkTiming | None:
    return next((run for run in runs if usable(run)), None)


def run_error_pct(run: NetworkTiming) -> float:
    """Error bar of a run's latency, by the rule of every measured time."""
    return error_pct(run.median_us, run.iqr_us) if run.median_us and usable(run) else 0.0


def network_notes(runs: Sequence[NetworkTiming], fastest: NetworkTiming | None) -> tuple[str, ...]:
    """Which way of running the model the measured latency is."""
    if fastest is None:
        return ()
    others = len(runs) - 1
    beside = f", the fastest of {len(runs)} ways of running the model that were tried" if others else ""
    time = figures.time_with_error(fastest.median_us, run_error_pct(fastest))
    return (f"Measured latency: {time} with {fastest.mode}{beside}.",)


def _sortable_us(run: NetworkTiming) -> float:
    return run.median_us if run.median_us is not None and usable(run) else 0.0
