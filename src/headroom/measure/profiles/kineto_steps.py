"""A Kineto trace cut into steps: what was called, what was launched from where, and where the host waited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headroom.measure.profiles.events import Event
from headroom.measure.profiles.guide import guided
from headroom.measure.profiles.kineto_gpu import WAITS, launch
from headroom.measure.profiles.nesting import ModuleName, nest
from headroom.measure.profiles.operands import operands
from headroom.measure.profiles.profile import Call, Launch, Step, Wait
from headroom.measure.profiles.windows import Window, Windows

_CORRELATION = ("correlation", "Correlation")
_EXTERNAL = ("External id", "external id")

#: How far the runtime's clock and the operators' may be apart, in us.
_CLOCKS_US = 5.0


@dataclass
class Trace:
    """The events of a trace by what they are; every collection but ``windows`` indexes ``events``."""

    events: Sequence[Event]
    operators: set[int] = field(default_factory=set)
    runtime: set[int] = field(default_factory=set)
    launches: set[int] = field(default_factory=set)
    modules: dict[int, ModuleName] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)


class StepsOf:
    """Builds the steps of one trace.

    A launch is tied to the runtime's call that asked for it by their correlation, and to its operator by the external
    id that the profiler gives both, or else by the operator that the runtime's call lies in. Some versions gave an
    external id that is only the correlation again: it counts where the operator was running, on that thread. Beside
    the program's first thread PyTorch names one thread twice, once for operators and once for the runtime's calls: a
    thread that no operator ran on is taken for any.
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._events = trace.events
        self._nesting = nest(trace.events, trace.operators, trace.modules, trace.runtime)
        self._by_external = self._index(trace.operators, _EXTERNAL)
        self._by_correlation = self._index(trace.runtime, _CORRELATION)
        self._operator_lanes = {trace.events[index].lane for index in trace.operators}
        self._threads: dict[str, int] = {}

    def steps(self) -> list[Step]:
        """One step per window that something happened in; one for all where nobody marked any."""
        windows = Windows(self._trace.windows or [self._whole_run()])
        calls = self._by_window(windows, self._trace.operators)
        launches = self._by_window(windows, self._trace.launches)
        waits = self._by_window(windows, (each for each in self._trace.runtime if self._events[each].name in WAITS))
        steps = [self._step(window, calls[at], launches[at], waits[at]) for at, window in enumerate(windows.all)]
        # The last mark of a run often stands after everything.
        return guided([step for step in steps if step.calls or step.launches])

    def _index(self, indices: Iterable[int], names: tuple[str, ...]) -> dict[int, int]:
        found: dict[int, int] = {}
        for index in sorted(indices):
            number = self._events[index].whole(*names)
            if number:  # 0 means none
                found.setdefault(number, index)
        return found

    def _whole_run(self) -> Window:
        """From the first thing on the host to the last, without the wait that the profiler ends a run with."""
        trace = self._trace
        host = [self._events[index] for index in (trace.operators | trace.runtime) or trace.launches]
        work = [event for event in host if event.name not in WAITS]
        end_us = max((event.end_us for event in work), default=0.0)
        final = sorted(event.end_us for event in host if event.name in WAITS and event.end_us > end_us)
        return Window("run", min(event.start_us for event in host), final[-2] if len(final) > 1 else end_us)

    def _by_window(self, windows: Windows, indices: Iterable[int]) -> dict[int | None, list[int]]:
        found: dict[int | None, list[int]] = defaultdict(list)
        for index in sorted(indices):
            asked = self._asked_by(index)
            found[windows.holding(self._events[index if asked is None else asked].start_us)].append(index)
        return found

    def _asked_by(self, index: int) -> int | None:
        """The host's event that asked for a launch: the runtime's call, else the operator."""
        if index not in self._trace.launches:
            return None
        event = self._events[index]
        found = self._by_correlation.get(event.whole(*_CORRELATION) or 0)
        return found if found is not None else self._by_external.get(event.whole(*_EXTERNAL) or 0)

    def _operator_of(self, index: int) -> int | None:
        """The innermost operator that a launch or a call of the runtime belongs to."""
        asked = self._asked_by(index)
        host = index if asked is None else asked
        for each in (index, host):
            found = self._by_external.get(self._events[each].whole(*_EXTERNAL) or 0)
            if found is not None and self._ran(found, host):
                return found
        return self._nesting.operator.get(host)

    def _ran(self, operator: int, host: int) -> bool:
        """Whether ``operator`` was running when ``host`` began, as far as two clocks can tell."""
        ran, began = self._events[operator], self._events[host]
        if host in self._trace.launches:
            return True  # the host's side of it is missing
        near = ran.start_us - _CLOCKS_US <= began.start_us <= ran.end_us + _CLOCKS_US
        return near and (ran.lane == began.lane or began.lane not in self._operator_lanes)

    def _step(self, window: Window, calls: Sequence[int], launches: Sequence[int], waits: Sequence[int]) -> Step:
        place: dict[int | None, int] = {index: number for number, index in enumerate(calls)}
        return Step(
            window.name,
            window.start_us,
            round(window.end_us - window.start_us, 3),
            tuple(self._call(index, place) for index in calls),
            tuple(self._launch(index, place) for index in launches),
            tuple(self._wait(index, place) for index in waits),
        )

    def _call(self, index: int, place: Mapping[int | None, int]) -> Call:
        event = self._events[index]
        return Call(
            event.name,
            event.start_us,
            event.duration_us,
            self._threads.setdefault(event.lane[1], len(self._threads)),
            place.get(self._nesting.operator.get(index)),
            operands(event.arguments),
            self._nesting.module.get(index, ""),
        )

    def _launch(self, index: int, place: Mapping[int | None, int]) -> Launch:
        asked = self._asked_by(index)
        host = None if asked is None else self._events[asked]
        return launch(self._events[index], host, place.get(self._operator_of(index)))

    def _wait(self, index: int, place: Mapping[int | None, int]) -> Wait:
        event = self._events[index]
        return Wait(event.name, event.start_us, event.duration_us, place.get(self._operator_of(index)))
