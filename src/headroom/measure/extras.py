"""What is measured beside the layers where it is asked for: whole networks, and hardware counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headroom.graph.chain import graph_digest
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.again import Again
from headroom.measure.busy import Guard
from headroom.measure.counters.choose import costliest
from headroom.measure.counters.client import count
from headroom.measure.counters.request import Subject
from headroom.measure.driver import driver_of
from headroom.measure.networks.client import measure_network
from headroom.measure.networks.modes import usual_modes
from headroom.store.notebook import Notebook
from headroom.store.rows import NetworkTiming, System
from headroom.store.steps import DISTURBED


@dataclass(frozen=True)
class Extras:
    """Measures on one GPU into a database, and skips what ``notebook`` knows of ``system`` already.

    ``shared`` lets others use the GPU meanwhile; ``again`` tells which whole networks are run although they are known.
    """

    notebook: Notebook
    system: System
    gpu: int = 0
    shared: bool = False
    again: Again | None = None

    def networks(
        self, model: str, graph: Graph, dtype: DataType, *, batch: int | None, dims: Mapping[str, int]
    ) -> tuple[NetworkTiming, ...]:
        """Run the whole network in every usual mode that is not known yet; all rows of ``graph``, each kept at once.

        A mode that was throttled, or too unsteady to tell, is run again.

        Raises:
            GpuError, ModelError, UsageError: as :func:`headroom.measure.networks.client.measure_network`.
        """
        retried = DISTURBED if self.again is None else self.again.retried
        known = {row.mode for row in self._runs(graph, dtype) if row.status not in retried}
        missing = [mode for mode in usual_modes() if mode not in known]
        if missing:
            self._admit()
            measure_network(
                model, dtype, batch=batch, dims=dims, modes=missing, gpu=self.gpu,
                on_timing=lambda row: self.notebook.record_network(self.system, row),
            )  # fmt: skip
        return tuple(self._runs(graph, dtype))

    def counters(self, graph: Graph, dtype: DataType) -> tuple[int, str]:
        """Count the costliest layers that are not counted yet: how many were, and why the others were not.

        Raises:
            GpuError: the worker cannot start, or died.
        """
        subjects = [one for one in costliest(graph, dtype, self.notebook, self.system) if not self._is_counted(one)]
        if not subjects:
            return 0, ""
        self._admit()
        answer = count(subjects, gpu=self.gpu)
        done = [one for one in answer.counted if one.counters is not None]
        for one in done:
            assert one.counters is not None
            self.notebook.record_counters(self.system, one.subject.chain, one.subject.dtype, (one.counters,))
        return len(done), answer.refused or next((one.reason for one in answer.counted if one.reason), "")

    def _runs(self, graph: Graph, dtype: DataType) -> Iterator[NetworkTiming]:
        return (row for row in self.notebook.networks(self.system, graph_digest(graph)) if row.dtype is dtype)

    def _is_counted(self, subject: Subject) -> bool:
        known = self.notebook.counters(self.system, subject.chain.digest, subject.dtype)
        return any(counters.implementation == subject.implementation for counters in known)

    def _admit(self) -> None:
        with driver_of(self.gpu) as driver:
            Guard(driver, shared=self.shared).admit()
