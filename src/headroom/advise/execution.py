"""A profile laid over a graph: which layer every launch belongs to, and what ran that no layer asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headroom.graph.tensor import DataType
from headroom.measure.profiles.profile import Call, Launch, Profile, Step


@dataclass(frozen=True, slots=True)
class LayerRun:
    """What one layer of the graph was run by; several layers share a run where the framework fused them.

    ``layers`` index ``Graph.layers``; ``launches`` and ``calls`` index the step's. The calls are the layer's own
    operators (``aten::conv2d``), not those within; there are none in a replayed CUDA graph. ``time_us`` is the sum of
    the launches' durations. A profile without a GPU has no launches: there it is the sum of the calls'.
    """

    layers: tuple[int, ...]
    launches: tuple[int, ...]
    calls: tuple[int, ...]
    time_us: float


@dataclass(frozen=True, slots=True)
class OtherRun:
    """Launches that no layer of the graph asks for: a copy, a cast, a layout transpose, padding, a fill.

    ``purpose`` is ``pad``, ``transpose``, ``cast``, ``copy``, ``fill`` or ``unknown``; ``near`` is the layer before or
    for which it ran, if that can be told.
    """

    purpose: str
    launches: tuple[int, ...]
    calls: tuple[int, ...]
    time_us: float
    near: int | None = None
    module: str = ""


@dataclass(frozen=True)
class Execution:
    """One step of a profile, every launch of it in a :class:`LayerRun` or an :class:`OtherRun`.

    ``latency_us`` is what the step took as the user sees it: host time included, from one step to the next.
    ``matched_share`` is the share of the GPU's time that is in layer runs; ``explained_share`` adds the other runs
    whose purpose and layer are known. ``run_of`` maps an index of ``Graph.layers`` to one of ``runs``. ``dtype`` is
    what most products and convolutions ran in, ``channels_last`` whether most convolutions' data lay so, each
    ``None`` where the profile does not tell. ``notes`` are deviations from the graph, a sentence each.
    """

    profile: Profile
    step: Step
    runs: tuple[LayerRun, ...]
    others: tuple[OtherRun, ...]
    latency_us: float
    matched_share: float
    run_of: Mapping[int, int] = field(default_factory=dict)
    explained_share: float = 0.0
    dtype: DataType | None = None
    channels_last: bool | None = None
    notes: tuple[str, ...] = ()

    def launches(self, run: LayerRun | OtherRun) -> tuple[Launch, ...]:
        return tuple(self.step.launches[index] for index in run.launches)

    def calls(self, run: LayerRun | OtherRun) -> tuple[Call, ...]:
        return tuple(self.step.calls[index] for index in run.calls)
