"""One event of a Chrome trace, checked: what every reader of such traces starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

#: Times beyond these, in us, are damage and no clock: three centuries, and eleven days for one event.
_LATEST_US = 1e16
_LONGEST_US = 1e12

#: The largest whole number kept: what 64 bits hold.
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Event:
    """A span of time on one lane: a host thread, or a stream of a GPU. ``place`` is where it stands in the file."""

    place: int
    name: str
    category: str
    start_us: float
    duration_us: float
    lane: tuple[str, str]
    arguments: Mapping[str, object]

    @property
    def end_us(self) -> float:
        return self.start_us + self.duration_us

    def whole(self, *names: str) -> int | None:
        """The first of the named arguments that is a whole number."""
        for name in names:
            value = whole(self.arguments.get(name))
            if value is not None:
                return value
        return None


def whole(value: object) -> int | None:
    """``value`` where it is a whole number of at most 64 bits; a writer may have put it in quotes or after a point."""
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST else None


def time_us(value: object, latest_us: float = _LATEST_US) -> float | None:
    """``value`` where it is a time that a clock can show."""
    if isinstance(value, str) and len(value) < 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Compared before it is converted: a whole number of hundreds of digits is no float. No comparison holds for NaN.
    return float(value) if abs(value) <= latest_us else None


def complete_events(raw: Sequence[object]) -> tuple[list[Event], int]:
    """The complete events (phase X) in the order of their start, and how many of them were damaged and left out.

    Times count from the first event, so that they keep their nanoseconds.
    """
    events, damaged = [], 0
    for place, each in enumerate(raw):
        if isinstance(each, dict) and each.get("ph") == "X":
            event = _event(place, each)
            damaged += event is None
            events += [] if event is None else [event]
    origin_us = min((event.start_us for event in events), default=0.0)
    events = [replace(event, start_us=round(event.start_us - origin_us, 3)) for event in events]
    events.sort(key=lambda event: (event.start_us, -event.duration_us))
    return events, damaged


def _event(place: int, raw: Mapping[str, object]) -> Event | None:
    name, category, arguments = raw.get("name"), raw.get("cat", ""), raw.get("args", {})
    start_us, duration_us = time_us(raw.get("ts")), time_us(raw.get("dur"), _LONGEST_US)
    if not isinstance(name, str) or not isinstance(category, str) or not isinstance(arguments, dict):
        return None
    if start_us is None or duration_us is None or duration_us < 0:
        return None
    lane = (_short(raw.get("pid")), _short(raw.get("tid")))
    return Event(place, name, category, start_us, duration_us, lane, arguments)


def _short(value: object) -> str:
    return str(value)[:40] if isinstance(value, str) or whole(value) is not None else ""
