"""What the charts show, as data: positions in percent, words ready to print. The template only draws.

Positions are percent of the plot, so that a chart fits any width without a script and its text keeps its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Segment:
    """A coloured piece of a bar, ``width`` percent wide from ``x`` on; ``tip`` explains it, a line per fact."""

    x: float
    width: float
    css: str
    tip: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One labelled bar. ``whisker`` is its error bar and ``tick`` its speed of light, in percent of the plot."""

    label: str
    value: str
    segments: tuple[Segment, ...]
    detail: str = ""
    note: str = ""
    whisker: tuple[float, float] | None = None
    tick: float | None = None


@dataclass(frozen=True, slots=True)
class DataTable:
    """The chart's figures as a table, for whoever does not see or point. Columns from the second on are numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars under a heading; ``help`` says how to read them."""

    key: str
    title: str
    help: str
    bars: tuple[Bar, ...]
    table: DataTable
    legend: tuple[tuple[str, str], ...] = ()
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A mark of the roofline: centre in percent from the left and the top, radius in pixels."""

    x: float
    y: float
    radius: float
    css: str
    tip: str


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line in percent from the left and the top, with a label at its end."""

    x1: float
    y1: float
    x2: float
    y2: float
    css: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis, in percent."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """A log-log scatter with its roofs."""

    key: str
    title: str
    help: str
    points: tuple[Point, ...]
    roofs: tuple[Line, ...]
    ridges: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    table: DataTable
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One stream of the schedule; ``y`` and ``height`` are pixels."""

    label: str
    y: float
    height: float
    segments: tuple[Segment, ...]

    @property
    def pieces(self) -> int:
        return len(self.segments)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The parallel schedule: a row per stream, the critical path on a row of its own."""

    key: str
    title: str
    help: str
    rows: tuple[TimelineRow, ...]
    height: float
    ticks: tuple[Tick, ...]
    table: DataTable
    legend: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of a line chart: the straight pieces between its points, and the points."""

    name: str
    css: str
    pieces: tuple[Line, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class LineChart:
    """Curves over a common axis; titles of axes carry their units."""

    key: str
    title: str
    help: str
    x_title: str
    y_title: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    table: DataTable
    legend: tuple[tuple[str, str], ...]


def tip(*lines: str) -> str:
    """The facts of one mark, a line each; empty ones are left out."""
    return "\n".join(line for line in lines if line)


def css_name(value: str) -> str:
    """A style class for a kind or a bottleneck: ``L2 bandwidth`` is ``c-l2-bandwidth``."""
    return "c-" + value.lower().replace(" ", "-")


def legend_of(values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(style class, label) of each distinct value, in order."""
    return tuple((css_name(value), value) for value in dict.fromkeys(values))
