"""What a question is asked about: a timed graph, what the database knows beside it, and how a framework ran it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headroom.advise.analysis import Bounds
from headroom.advise.execution import Execution
from headroom.advise.measurements import Measurements
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType
from headroom.store.rows import NetworkTiming


@dataclass(frozen=True)
class Case:
    """A model on a GPU at one batch and data type.

    ``execution`` is there where a profile was given, ``networks`` where the database has whole runs. ``latency_us`` is
    what savings come off: the profile's latency, else the fastest whole run's, else ``None`` (then they come off the
    sequential bound). ``other_dtypes`` are the same graph timed in the other types that the GPU has units for.
    """

    timed: TimedGraph
    bounds: Bounds
    measurements: Measurements | None = None
    execution: Execution | None = None
    networks: Sequence[NetworkTiming] = ()
    latency_us: float | None = None
    other_dtypes: Mapping[DataType, TimedGraph] = field(default_factory=dict)
