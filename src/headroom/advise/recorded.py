"""A run of the user's model, as questions ask about it: which layer a launch is for, what is saved without it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.execution import Execution, OtherRun
from headroom.advise.latency import timelines_of
from headroom.advise.timelines import GRAPH_GAP_US, Change, Timelines
from headroom.graph.kinds import LayerKind
from headroom.graph.work import Normalization
from headroom.measure.profiles.profile import Step
from headroom.predict.prediction import Source

#: Recorded host time in us of one launch inside an operator that goes on without it: the median from one launch to the
#: next of the same operator.
LAUNCH_CALL_US = 6.9

#: Launches of a fused attention at most: its kernel, the fill of its workspace and a copy. What is more is composed.
MOST_FUSED = 3


@dataclass(frozen=True)
class Recorded:
    """A case that has an execution, with the execution's two timelines."""

    case: Case
    execution: Execution
    timelines: Timelines

    @classmethod
    def of(cls, case: Case) -> Recorded | None:
        """``None`` where no profile was given, or one that tells of nothing that ran on the GPU."""
        execution = case.execution
        if execution is None or not execution.step.launches:
            return None
        return cls(case, execution, timelines_of(execution))

    @property
    def step(self) -> Step:
        return self.execution.step

    @cached_property
    def latency_us(self) -> float:
        """The user's run without what recording it cost: measured where the profile tells, else worked out."""
        return self.execution.profile.latency_us or self.timelines.latency_us()

    @cached_property
    def is_graph(self) -> bool:
        """Whether the run is a replayed CUDA graph, so that the host asks for its launches at once."""
        return any(launch.graph for launch in self.step.launches)

    @cached_property
    def layers_of(self) -> Mapping[int, tuple[int, ...]]:
        """The layers (indices) of the graph that a launch (index) is for, or that it ran beside."""
        found = {launch: run.layers for run in self.execution.runs for launch in run.launches}
        for other in self.execution.others:
            near = () if other.near is None else (other.near,)
            found |= dict.fromkeys(other.launches, near)
        return found

    def extras(self, purpose: str) -> tuple[int, ...]:
        """Launches (indices) that serve ``purpose`` though no layer of the model does.

        What a BatchNorm or a composed attention copies has a cause of its own: see :meth:`beside` and :attr:`composed`.
        """
        others = (other for other in self.execution.others if other.purpose == purpose)
        found = [other for other in others if other.near not in self.composed and not self._serves_norm(other)]
        return tuple(sorted(launch for other in found for launch in other.launches))

    def beside(self, layers: Collection[int]) -> tuple[int, ...]:
        """Launches (indices) that the operators of BatchNorms among ``layers`` make beside the layers' own."""
        found = (other for other in self.execution.others if other.near in layers and self._serves_norm(other))
        return tuple(launch for other in found for launch in other.launches)

    @cached_property
    def composed(self) -> Mapping[int, frozenset[int]]:
        """Attention layers that no fused kernel ran, with their launches (indices), casts and fills included."""
        graph = self.case.timed.graph
        found = {
            layer: {*run.launches, *(n for o in self.execution.others if o.near == layer for n in o.launches)}
            for run in self.execution.runs
            for layer in run.layers
            if graph.layers[layer].kind is LayerKind.ATTENTION
        }
        return {layer: frozenset(launches) for layer, launches in found.items() if len(launches) > MOST_FUSED}

    def _serves_norm(self, other: OtherRun) -> bool:
        if other.near is None or other.purpose not in {"copy", "cast"}:
            return False
        calls = {self.step.calls[call].name for launch in other.launches for call in self.chain(launch)}
        if calls:
            return any("batch_norm" in name for name in calls)
        work = self.case.timed.graph.layers[other.near].work
        return isinstance(work, Normalization) and not work.group_elements

    def launches_of(self, layer: int, *, alone: bool = False) -> tuple[int, ...]:
        """The launches (indices) that a layer was run by, what serves it beside them included.

        ``alone`` leaves out those that ran other layers as well; none are left where all did.
        """
        found = [run for run in self.execution.runs if (run.layers == (layer,) if alone else layer in run.layers)]
        if not found:
            return ()
        runs = (launch for run in found for launch in run.launches)
        beside = (launch for other in self.execution.others if other.near == layer for launch in other.launches)
        return tuple(sorted({*runs, *beside}))

    def layers(self, launches: Iterable[int]) -> tuple[int, ...]:
        """The layers that ``launches`` are for, each once, in the graph's order."""
        return tuple(sorted({layer for launch in launches for layer in self.layers_of.get(launch, ())}))

    def time_us(self, launches: Iterable[int]) -> float:
        """The GPU's time for ``launches``."""
        return sum(self.step.launches[index].duration_us for index in launches)

    def chain(self, launch: int) -> tuple[int, ...]:
        """The calls (indices) that a launch was made from, the outermost first."""
        calls, call = [], self.step.launches[launch].call
        while call is not None:
            calls.append(call)
            call = self.step.calls[call].parent
        return tuple(reversed(calls))

    def operator(self, launch: int) -> str:
        """The name of the outermost call that a launch was made from, without its namespace; empty where none is."""
        chain = self.chain(launch)
        return self.step.calls[chain[0]].name.rpartition(":")[2] if chain else ""

    @cached_property
    def launched_by(self) -> Mapping[int, frozenset[int]]:
        """All launches (indices) of a call (index), those of the calls inside it included."""
        found: dict[int, set[int]] = {}
        for launch in range(len(self.step.launches)):
            for call in self.chain(launch):
                found.setdefault(call, set()).add(launch)
        return {call: frozenset(launches) for call, launches in found.items()}

    def owner(self, launch: int, gone: Collection[int]) -> int | None:
        """The outermost call (index) that launches nothing but ``gone``; ``None`` if even the innermost does."""
        return next((call for call in self.chain(launch) if self.launched_by[call] <= set(gone)), None)

    def without(self, launches: Iterable[int]) -> Change:
        """The step without ``launches``, and without the calls that did nothing else.

        A launch inside an operator that goes on costs the host the call into the driver.
        """
        gone = frozenset(launches)
        start_us = self.step.start_us
        host: set[tuple[float, float]] = set()
        for launch in gone:
            owner = self.owner(launch, gone)
            asked_us = self.step.launches[launch].launched_us
            if owner is not None:
                call = self.step.calls[owner]
                host.add((call.start_us - start_us, call.start_us - start_us + call.duration_us))
            elif asked_us is not None and not self.step.launches[launch].graph:
                host.add((asked_us - start_us, asked_us - start_us + LAUNCH_CALL_US))
        return Change(gone, tuple(sorted(host)))

    def replayed_us(self, launches: Iterable[int]) -> float:
        """What ``launches`` take where the host costs nothing: as nodes of a replayed CUDA graph."""
        return sum(self.step.launches[index].duration_us + GRAPH_GAP_US for index in launches)

    def finding(
        self,
        kind: str,
        title: str,
        action: str,
        layers: Iterable[int],
        saved: tuple[float, float],
        *,
        code: str = "",
        limits: str = "",
        source: Source = Source.PREDICTED,
    ) -> Finding:
        """A finding about ``layers`` that takes ``saved`` (us, and its error bar in percent) off the user's run."""
        saves_us, error_pct = saved
        timed, named = self.case.timed, tuple(layers)
        return Finding(
            kind=kind,
            title=title,
            saves_us=saves_us,
            error_pct=error_pct,
            speedup=self.latency_us / (self.latency_us - saves_us) if saves_us < self.latency_us else 1.0,
            layers=timed.names(named),
            modules=timed.modules(named),
            action=action,
            source=source,
            limits=limits,
            code=code,
        )
