"""Executions for tests, put together operator by operator: no profiler, no matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from builders import timed as timed_by_hand
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.execution import Execution, LayerRun, OtherRun
from headroom.advise.measurements import Measurements
from headroom.advise.recorded import Recorded
from headroom.advise.timed import TimedGraph
from headroom.advise.timelines import GRAPH_GAP_US, NODE_COST_US
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Call, Launch, LaunchKind, Operand, Profile, Step, Wait

#: A kernel's name and its time in us.
Ran = tuple[str, float]

#: Recorder whose host times are taken as they are.
PLAIN = "nsys"


@dataclass
class Scene:
    """A step under construction. Every operator takes ``host_us``; each of its launches is asked for at its end."""

    graph: Graph
    host_us: float = 10.0
    now_us: float = 0.0
    calls: list[Call] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    runs: list[LayerRun] = field(default_factory=list)
    others: list[OtherRun] = field(default_factory=list)

    def index(self, name: str) -> int:
        return next(i for i, layer in enumerate(self.graph.layers) if layer.name == name)

    def run(
        self, layers: str | Sequence[str], *kernels: tuple[str, float], call: str = "aten::op", **more: object
    ) -> Scene:
        """``layers`` (one, or several that a kernel fuses) by ``kernels``: (name, time in us)."""
        names = [layers] if isinstance(layers, str) else list(layers)
        calls, launches = self._operator(call, kernels, **more)
        members = tuple(self.index(name) for name in names)
        self.runs.append(LayerRun(members, launches, calls, sum(time for _, time in kernels)))
        return self

    def beside(
        self, purpose: str, near: str | None, *kernels: tuple[str, float], call: str = "aten::op", **more: object
    ) -> Scene:
        """Launches that no layer asks for, by an operator of their own."""
        calls, launches = self._operator(call, kernels, **more)
        place = None if near is None else self.index(near)
        self.others.append(OtherRun(purpose, launches, calls, sum(time for _, time in kernels), place))
        return self

    def inside(self, purpose: str, near: str, *kernels: tuple[str, float]) -> Scene:
        """Launches that no layer asks for, made by the operator before, which is ``near``'s."""
        call = len(self.calls) - 1
        launches = tuple(self._launch(kernel, time_us, call) for kernel, time_us in kernels)
        self.others.append(OtherRun(purpose, launches, (call,), sum(time for _, time in kernels), self.index(near)))
        return self

    def pause(self, time_us: float) -> Scene:
        """The host does something else."""
        self.now_us += time_us
        return self

    def wait(self, name: str = "cudaStreamSynchronize", call: str = "aten::item") -> Scene:
        """The host waits for all launches so far."""
        done_us = _done_us(self.launches, self.now_us)
        self.calls.append(Call(call, self.now_us, done_us - self.now_us, 1))
        self.waits.append(Wait(name, self.now_us, done_us - self.now_us, len(self.calls) - 1))
        self.now_us = done_us
        return self

    def step(self) -> Step:
        """All of it, launches run one after another as soon as they were asked for."""
        end_us = _done_us(self.launches, self.now_us)
        return Step("step", 0.0, end_us, tuple(self.calls), tuple(self.launches), tuple(self.waits))

    def execution(self, recorder: str = PLAIN, others: Sequence[Step] = ()) -> Execution:
        step = self.step()
        profile = Profile(recorder, "trace", "NVIDIA H200", (step, *others))
        run_of = {layer: place for place, run in enumerate(self.runs) for layer in run.layers}
        return Execution(profile, step, tuple(self.runs), tuple(self.others), step.duration_us, 1.0, run_of)

    def case(
        self, model: TimedGraph | None = None, measurements: Measurements | None = None, **changes: object
    ) -> Case:
        """This run of ``model``, by default one whose configurations take 10 us each."""
        model = model or timed_by_hand(self.graph, *[10.0 for _ in self.graph.configurations])
        execution = self.execution(**changes)  # type: ignore[arg-type]
        return Case(model, lower_bounds(model), measurements, execution, latency_us=execution.latency_us)

    def recorded(self, **changes: object) -> Recorded:
        found = Recorded.of(self.case(**changes))  # type: ignore[arg-type]
        assert found is not None
        return found

    def _operator(
        self, name: str, kernels: Sequence[tuple[str, float]], *, dims: tuple[int, ...] = (), inner: str = "",
        stream: int = 7, grid: tuple[int, int, int] | None = (528, 1, 1),
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:  # fmt: skip
        operands = (Operand(dims, "float32"),) if dims else ()
        outer = len(self.calls)
        self.calls.append(Call(name, self.now_us, self.host_us, 1, operands=operands))
        if inner:
            self.calls.append(Call(inner, self.now_us, self.host_us, 1, outer, operands))
        self.now_us += self.host_us
        call = len(self.calls) - 1
        return (outer,), tuple(self._launch(kernel, time_us, call, stream, grid) for kernel, time_us in kernels)

    def _launch(
        self, kernel: str, time_us: float, call: int, stream: int = 7, grid: tuple[int, int, int] | None = (528, 1, 1)
    ) -> int:
        kind = LaunchKind.FILL if kernel.startswith("Memset") else LaunchKind.KERNEL
        kind = LaunchKind.COPY if kernel.startswith("Memcpy") else kind
        own = [launch for launch in self.launches if launch.stream == stream]
        start_us = max(self.now_us + 7.0, _done_us(own, 0.0))
        asked_us = self.now_us - 1e-3
        shape = grid if kind is LaunchKind.KERNEL else None
        self.launches.append(
            Launch(kernel, kind, start_us, time_us, stream, call=call, launched_us=asked_us, grid=shape)
        )
        return len(self.launches) - 1


def replayed(execution: Execution) -> Execution:
    """The same run as a recorder sees it replayed as a CUDA graph: nodes close together, with nothing of the host's."""
    launches, now_us = [], 10.0
    gap_us = GRAPH_GAP_US + NODE_COST_US.get(execution.profile.recorder, 0.0)
    for launch in execution.step.launches:
        launches.append(replace(launch, start_us=now_us, launched_us=None, call=None, graph=True))
        now_us += launch.duration_us + gap_us
    step = Step("step", 0.0, now_us, (), tuple(launches))
    return replace(
        execution,
        step=step,
        profile=replace(execution.profile, steps=(step,)),
        runs=tuple(replace(run, calls=()) for run in execution.runs),
        others=tuple(replace(other, calls=()) for other in execution.others),
        latency_us=now_us,
    )


def _done_us(launches: Sequence[Launch], now_us: float) -> float:
    return max([now_us, *(launch.end_us for launch in launches)])
