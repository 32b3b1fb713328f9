"""What a question is asked about: a timed graph, what the database knows beside it, and how a framework ran it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from headroom.advise.analysis import Bounds
from headroom.advise.bounds import lower_bounds
from headroom.advise.execution import Execution
from headroom.advise.measurements import Measurements
from headroom.advise.networks import fastest_run
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType
from headroom.store.rows import NetworkTiming


@dataclass(frozen=True)
class Case:
    """A model on a GPU at one batch and data type.

    ``execution`` is there where a profile was given, ``networks`` where the database has whole runs. ``latency_us`` is
    the profile's latency less what recording cost, else the fastest whole run's, else ``None``. ``other_dtypes`` are
    the same graph timed in the other types that the GPU has units for, and ``other_networks`` its whole runs in those.
    """

    timed: TimedGraph
    bounds: Bounds
    measurements: Measurements | None = None
    execution: Execution | None = None
    networks: Sequence[NetworkTiming] = ()
    latency_us: float | None = None
    other_dtypes: Mapping[DataType, TimedGraph] = field(default_factory=dict)
    other_networks: Sequence[NetworkTiming] = ()

    @property
    def has_run(self) -> bool:
        """Whether there is a profile of a run on a GPU: one on a CPU stands beside no bound."""
        return self.execution is not None and bool(self.execution.step.launches)

    @property
    def comes_off_us(self) -> float:
        """What savings come off: the user's own run where there is a profile, else the sequential bound."""
        return self.latency_us if self.has_run and self.latency_us is not None else self.timed.sequential_us

    @property
    def dtypes(self) -> Mapping[DataType, TimedGraph]:
        """The graph in every type that the GPU has units for, this case's first."""
        return {self.timed.dtype: self.timed, **self.other_dtypes}

    @cached_property
    def bounds_by_dtype(self) -> Mapping[DataType, Bounds]:
        """The bounds in every type that the GPU has units for, this case's first."""
        others = {dtype: lower_bounds(timed) for dtype, timed in self.other_dtypes.items()}
        return {self.timed.dtype: self.bounds, **others}

    def fastest(self, dtype: DataType) -> NetworkTiming | None:
        """The fastest whole run in ``dtype`` that the database has."""
        return fastest_run(self.runs(dtype))

    def runs(self, dtype: DataType) -> Sequence[NetworkTiming]:
        """Whole runs in ``dtype``, the fastest first."""
        return [run for run in (*self.networks, *self.other_networks) if run.dtype is dtype]
