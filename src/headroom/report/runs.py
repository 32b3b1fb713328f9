"""The whole model as frameworks ran it, as text for the terminal and the page."""

from __future__ import annotations

from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Analysis
from headroom.advise.measurements import usable
from headroom.advise.networks import run_error_pct
from headroom.store.rows import NetworkTiming
from headroom.text import view


@dataclass(frozen=True, slots=True)
class Run:
    """The whole model as one framework ran it, as text. ``remark`` says why where there is no time."""

    mode: str
    time: str
    error: str
    energy: str
    memory: str
    remark: str


def runs(analysis: Analysis) -> tuple[Run, ...]:
    """Every way of running the model that was measured, the fastest first."""
    return tuple(_run(run) for run in analysis.networks)


def _run(run: NetworkTiming) -> Run:
    counts = usable(run)
    error_pct = run_error_pct(run)
    return Run(
        mode=view(run.mode, 40),
        time=figures.time(run.median_us, error_pct) if counts else figures.NOTHING,
        error=figures.error(error_pct) if counts else "",
        energy=figures.NOTHING
        if not counts or run.energy_mj is None
        else f"{figures.significant(run.energy_mj, 2)} mJ",
        memory=figures.NOTHING if not counts or run.peak_bytes is None else figures.capacity(run.peak_bytes),
        remark="" if counts else view(run.reason or run.status.value, 120),
    )
