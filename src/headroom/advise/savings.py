"""What faster kernels save: of the run as it is, or, where the host hides that, once it is replayed as a CUDA graph."""

from __future__ import annotations

from dataclasses import dataclass

from headroom import figures
from headroom.advise.findings.common import CERTAIN_PCT, SMALLEST_SHARE
from headroom.advise.measurements import REPEATABILITY_PCT
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import Change


@dataclass(frozen=True, slots=True)
class Saving:
    """``saves_us`` with its error bar in percent.

    Where ``beyond_graph`` it comes off the replayed graph of the run, beyond what replaying saves. ``replayed_us`` is
    what the run takes as such a graph, before and after.
    """

    saves_us: float
    error_pct: float
    replayed_us: tuple[float, float]
    beyond_graph: bool = False

    def is_sure(self, of_us: float) -> bool:
        """Whether it is worth a line beside ``of_us``, and its error bar leaves some of it."""
        return self.saves_us > SMALLEST_SHARE * of_us and self.error_pct < CERTAIN_PCT


def saving(run: Recorded, change: Change, unsure_us: float, more_us: float = 0.0) -> Saving:
    """What ``change`` saves, ``more_us`` of new kernels taken off; the GPU's time after it may be off by ``unsure_us``.

    A run that waits for the host gains nothing from faster kernels, or nothing for sure: then the saving is what they
    give beyond a CUDA graph, if that is sure.
    """
    before_us, after_us = replayed_us = run.timelines.replayed_us, run.timelines.replayed_with(change) + more_us

    def told(saves_us: float, error_pct: float, *, beyond_graph: bool) -> Saving:
        unsure_pct = 100 * unsure_us / saves_us if saves_us > 0 else 0.0
        return Saving(saves_us, error_pct + unsure_pct, replayed_us, beyond_graph)

    saves_us, host_error_pct = run.timelines.saves(change)
    alone = told(saves_us - more_us, host_error_pct, beyond_graph=False)
    if alone.is_sure(run.latency_us) or run.is_graph or run.latency_us <= before_us:
        return alone
    beyond = told(before_us - after_us, REPEATABILITY_PCT, beyond_graph=True)
    return beyond if beyond.is_sure(run.latency_us) else alone


def beyond_a_graph(run: Recorded) -> str:
    """Where a saving lies that the host hides, and why it is hidden: the end of a sentence about it."""
    host = figures.time_with_error(run.timelines.host_us, 100 * run.timelines.host_error)
    return (
        f"beyond a CUDA graph; without one your run may gain nothing, as the host needs {host} of its "
        f"{figures.time(run.latency_us)}"
    )
