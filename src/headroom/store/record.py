"""All that a database knows of one chain: what is written, copied, exported and merged as one."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.rows import Counters, Sweep, System, Timing
from headroom.store.steps import is_finished


@dataclass(frozen=True)
class ChainRecord:
    """What is known of ``chain`` on ``system`` in ``dtype`` by version ``method`` of the stopwatch.

    ``visits`` maps the plans of each finished sweep (``all``, ``heuristic``) to the seconds it took.
    """

    system: System
    chain: Chain
    dtype: DataType
    method: int
    visits: tuple[tuple[str, float], ...] = ()
    timings: tuple[Timing, ...] = ()
    counters: tuple[Counters, ...] = ()

    @classmethod
    def of_sweep(cls, sweep: Sweep) -> ChainRecord:
        """A sweep that is not finished is no visit: another run takes its chain up again."""
        visits = ((sweep.plans, sweep.seconds),) if is_finished(sweep.timings) else ()
        return cls(sweep.system, sweep.chain, sweep.dtype, sweep.method, visits, sweep.timings)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the measurements that were written: new, in place of an older row, or left out for a newer one."""

    added: int = 0
    replaced: int = 0
    kept: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.added + other.added, self.replaced + other.replaced, self.kept + other.kept)

    @property
    def sentence(self) -> str:
        return (
            f"{self.added} measurements added, {self.replaced} older ones replaced, "
            f"{self.kept} left out because those here are as new or newer"
        )
