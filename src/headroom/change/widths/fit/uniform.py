"""What pruning tools do: every width rounded up to one multiple."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.change.widths.fit.candidates import ROUNDED
from headroom.change.widths.fit.space import Space


@dataclass(frozen=True)
class RoundUp:
    """Every group that can have it at the next multiple of ``multiple``, and what the network then takes."""

    multiple: int
    widths: dict[str, int]
    time_us: float


def round_ups(space: Space) -> tuple[RoundUp, ...]:
    """The network at each multiple whose widths have times; the others stay out."""
    found = []
    for multiple in ROUNDED:
        widths = {}
        for name, own in space.problem.current.items():
            up = -(-own // multiple) * multiple
            widths[name] = up if space.network.groups[name].allows(up) else own
        offered = all(width in space.choices[name] for name, width in widths.items())
        if offered and space.problem.has_times(widths):
            found.append(RoundUp(multiple, widths, space.time_us(widths)))
    return tuple(found)
