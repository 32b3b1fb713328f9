"""Which span of time lies within which on one host thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from headroom.measure.profiles.events import Event

#: How far two clock readings may differ and be one moment, in us: large time stamps lose about a nanosecond in JSON,
#: and older profilers wrote whole microseconds, so that a call may seem to end after the one that it was made from.
_FINE_US = 0.0025
_COARSE_US = 1.0

#: The longest module path kept, in characters. Damage could nest a name in itself a million times.
_PATH_LIMIT = 400


@dataclass(frozen=True, slots=True)
class ModuleName:
    """What a span says of the module that runs in it: its whole path, or one name below the span around it."""

    text: str
    whole: bool = False

    def path(self, around: str) -> str:
        joined = self.text if self.whole or not around else f"{around}.{self.text}"
        return joined if len(joined) <= _PATH_LIMIT else around


@dataclass
class Nesting:
    """For each event that lies within others: the innermost operator around it, and the path of its modules."""

    operator: dict[int, int] = field(default_factory=dict)
    module: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Open:
    end_us: float
    operator: int | None
    module: str


def nest(
    events: Sequence[Event], operators: Collection[int], modules: Mapping[int, ModuleName], leaves: Collection[int]
) -> Nesting:
    """Nest ``events``, which stand in the order of their start, thread by thread.

    ``operators``, ``modules`` and ``leaves`` say which events count; a leaf (a call of the runtime) holds nothing.
    """
    nesting = Nesting()
    same_us = _COARSE_US if all(event.start_us.is_integer() for event in events) else _FINE_US
    threads: dict[tuple[str, str], list[_Open]] = defaultdict(list)
    for index in sorted({*operators, *modules, *leaves}):
        event = events[index]
        leaf = index in leaves
        stack = threads[event.lane]
        while stack and _outside(stack[-1], event, leaf, same_us):
            stack.pop()
        around = stack[-1] if stack else _Open(0.0, None, "")
        module = modules[index].path(around.module) if index in modules else around.module
        if around.operator is not None:
            nesting.operator[index] = around.operator
        if module:
            nesting.module[index] = module
        if not leaf:
            stack.append(_Open(event.end_us, index if index in operators else around.operator, module))
    return nesting


def _outside(span: _Open, event: Event, leaf: bool, same_us: float) -> bool:
    """Whether ``span`` ended before ``event``, or ends within it: then it is no parent."""
    if event.duration_us > 0 and event.start_us >= span.end_us - min(same_us, _FINE_US):
        return True
    # The runtime's clock is not the operators': its calls may seem to end a little after their operator.
    return span.end_us < event.start_us if leaf else span.end_us < event.end_us - same_us
