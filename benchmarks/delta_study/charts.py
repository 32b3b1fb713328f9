"""Static SVG charts: rows of dots, rows of bars, and small line panels; legible on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 760
ROW = 13
LEFT = 190
RIGHT = 70
TOP = 58

#: Two palettes per slot, for light and dark pages; slots keep their meaning across charts.
_PALETTE = (
    ("#2a6fdb", "#6ea8ff"),
    ("#c2410c", "#fb923c"),
    ("#0f766e", "#2dd4bf"),
    ("#7c3aed", "#b794f6"),
    ("#a16207", "#eab308"),
    ("#be185d", "#f472b6"),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to pixels, linear or logarithmic, with the ticks to draw."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    ticks: tuple[float, ...] = field(default=())

    def __call__(self, value: float) -> float:
        low, high, at = (
            (math.log10(self.low), math.log10(self.high), math.log10(value))
            if self.log
            else (self.low, self.high, value)
        )
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def log_scale(values: Sequence[float], start: float, end: float) -> Scale:
    """Whole decades around ``values``."""
    low = math.floor(math.log10(min(values)))
    high = max(math.ceil(math.log10(max(values))), low + 1)
    return Scale(10.0**low, 10.0**high, start, end, True, tuple(10.0**p for p in range(low, high + 1)))


def linear_scale(high: float, start: float, end: float, step: float) -> Scale:
    """From zero to ``high``, a tick each ``step``."""
    ticks = tuple(step * i for i in range(int(high / step + 1e-9) + 1))
    return Scale(0.0, high, start, end, False, ticks)


def si(value: float, unit: str) -> str:
    """A value with an SI prefix: ``1.2e9`` bytes as ``1.2 GB``, 1,200 us as ``1.2 ms``."""
    if unit == "us" and value >= 1e3:
        return f"{value / 1e3:.3g} ms"
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def dots(title: str, rows: Sequence[str], series: Mapping[str, Sequence[float]], *, unit: str, log: bool) -> str:
    """One row per layer, one dot per series; ``unit`` is ``"B"`` or ``"%"``."""
    values = [value for column in series.values() for value in column]
    end = WIDTH - RIGHT
    scale = log_scale(values, LEFT, end) if log else linear_scale(100, LEFT, end, 20)
    parts = [_axis(scale, len(rows), unit), _legend(list(series))]
    for index, row in enumerate(rows):
        y = TOP + ROW * index
        marks = "".join(
            f'<circle class="c{slot}" cx="{scale(column[index]):.1f}" cy="{y}" r="3.5">'
            f"<title>{escape(row)}, {escape(name)}: {si(column[index], unit)}</title></circle>"
            for slot, (name, column) in enumerate(series.items())
        )
        parts.append(f'<text class="r" x="{LEFT - 8}" y="{y + 3}">{escape(row)}</text>{marks}')
    return svg_page(title, TOP + ROW * len(rows) + 8, parts)


def bars(
    title: str, rows: Sequence[str], values: Sequence[float], groups: Sequence[str], order: Sequence[str], *,
    unit: str, log: bool, step: float = 1.0,
) -> str:  # fmt: skip
    """One bar per row, coloured by its group; groups other than the first are also named beside the bar.

    On a logarithmic axis, which has no zero for a bar to start from, a dot stands for the bar.
    """
    end = WIDTH - RIGHT - 40
    scale = log_scale(values, LEFT, end) if log else linear_scale(math.ceil(max(values)), LEFT, end, step)
    used = [name for name in order if name in groups]
    parts = [_axis(scale, len(rows), unit), _legend(used, [order.index(name) for name in used])]
    for index, (row, value, group) in enumerate(zip(rows, values, groups, strict=True)):
        y, x = TOP + ROW * index, scale(value)
        label = si(value, unit) if unit else f"{value:.2f}x"
        named = f"{label}, {group}" if group != order[0] else label
        slot = order.index(group)
        bar = f'<rect class="c{slot}" x="{LEFT}" y="{y - 4}" width="{x - LEFT:.1f}" height="8" rx="1"/>'
        dot = f'<circle class="c{slot}" cx="{x:.1f}" cy="{y}" r="4"/>'
        parts.append(
            f'<text class="r" x="{LEFT - 8}" y="{y + 3}">{escape(row)}</text>{dot if log else bar}'
            f'<text class="v" x="{x + 8:.1f}" y="{y + 3}">{escape(named)}</text>'
        )
    return svg_page(title, TOP + ROW * len(rows) + 8, parts)


def panels(
    title: str,
    axes: Mapping[str, tuple[Sequence[float], Mapping[str, Sequence[float]]]],
    unit: str,
    dots: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] | None = None,
) -> str:
    """A line panel per axis: x values and, per series, y values; both logarithmic, so that proportion is a line.

    ``dots`` are measured points by axis and series, drawn over the lines in the series' colour.
    """
    height, gap, parts = 150, 46, []
    half = (WIDTH - 3 * gap) / 2
    names = list(next(iter(axes.values()))[1])
    for number, (axis, (xs, lines)) in enumerate(axes.items()):
        left = gap + (number % 2) * (half + gap)
        top = TOP + (number // 2) * (height + gap + 14)
        across = Scale(min(xs), max(xs), left, left + half, log=True)
        marks = (dots or {}).get(axis, {})
        measured = [y for points in marks.values() for _, y in points]
        up = log_scale([*(y for line in lines.values() for y in line), *measured], top + height, top)
        for tick in up.ticks:
            y = up(tick)
            parts.append(f'<path class="g" d="M{left:.0f} {y:.1f}h{half:.0f}"/>')
            parts.append(f'<text class="r" x="{left - 4:.0f}" y="{y + 3:.1f}">{si(tick, unit)}</text>')
        for slot, line in enumerate(lines.values()):
            points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in zip(xs, line, strict=True))
            parts.append(f'<polyline class="l{slot}" points="{points}"/>')
        for slot, name in enumerate(lines):
            for x, y in marks.get(name, ()):
                tip = f"<title>{escape(name)} at {x:g}: {si(y, unit)}</title>"
                parts.append(f'<circle class="c{slot}" cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5">{tip}</circle>')
        below = f"{axis}: {min(xs):g} to {max(xs):g}"
        parts.append(f'<text class="m" x="{left + half / 2:.0f}" y="{top + height + 16}">{escape(below)}</text>')
    rows = (len(axes) + 1) // 2
    return svg_page(title, TOP + rows * (height + gap + 14) - 10, [_legend(names), *parts])


def _axis(scale: Scale, rows: int, unit: str) -> str:
    bottom = TOP + ROW * rows
    return "".join(
        f'<path class="g" d="M{scale(tick):.1f} {TOP - 8}V{bottom}"/>'
        f'<text class="m" x="{scale(tick):.1f}" y="{TOP - 12}">{si(tick, unit) if unit else f"{tick:g}x"}</text>'
        for tick in scale.ticks
    )


def _legend(names: Sequence[str], slots: Sequence[int] | None = None) -> str:
    parts, x = [], LEFT
    for name, slot in zip(names, slots if slots is not None else range(len(names)), strict=True):
        parts.append(f'<rect class="c{slot}" x="{x}" y="22" width="9" height="9" rx="2"/>')
        parts.append(f'<text x="{x + 13}" y="30">{escape(name)}</text>')
        x += 26 + 7 * len(name)
    return "".join(parts)


def svg_page(title: str, height: float, parts: Sequence[str]) -> str:
    """A chart of ``parts`` as a file of its own."""
    light = "".join(f".c{i}{{fill:{c[0]}}}.l{i}{{stroke:{c[0]}}}" for i, c in enumerate(_PALETTE))
    dark = "".join(f".c{i}{{fill:{c[1]}}}.l{i}{{stroke:{c[1]}}}" for i, c in enumerate(_PALETTE))
    style = (
        "text{font:10px system-ui,sans-serif;fill:#333}.t{font-size:13px;font-weight:600}.r{text-anchor:end}"
        ".m{text-anchor:middle}.v{fill:#666}.g{stroke:#ddd;fill:none}polyline{fill:none;stroke-width:2}"
        f"{light}@media(prefers-color-scheme:dark){{.b{{fill:#14171c}}text{{fill:#ddd}}.v{{fill:#aaa}}"
        f".g{{stroke:#3a3f47}}{dark}}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title><style>.b{{fill:#fff}}{style}</style>'
        f'<rect class="b" width="100%" height="100%"/><text class="t" x="10" y="15">{escape(title)}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
