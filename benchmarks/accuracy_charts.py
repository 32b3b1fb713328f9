"""Scatter plots for ``docs/accuracy.md``: predicted against measured times of rows that no constant was fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from delta_study.charts import TOP, WIDTH, log_scale, si, svg_page
from estimates import answered
from h200_fit import answers_to, measured
from h200_shipped import timed_layers
from headroom.predict.calibration import load_calibration
from statistics_of import scale_and_constant
from tables import Cases

#: Rows of a table that its plot shows, evenly out of all that are held out.
MOST_MARKS = 240

#: Panels beside one another, their side, and the space between them, in pixels.
_ACROSS, _SIDE, _GAP = 3, 200, 46

#: The H200's own rows that have a panel each, with a warm L2.
_OWN = (
    ("conv2d", "bf16"), ("conv2d", "tf32"), ("conv2d", "fp32"), ("matmul", "bf16"), ("matmul", "tf32"),
    ("matmul", "fp32"), ("activation", "bf16"), ("elementwise", "bf16"), ("normalization", "bf16"),
    ("pooling", "bf16"), ("depthwise", "bf16"), ("attention", "bf16"),
)  # fmt: skip


@dataclass(frozen=True)
class Cloud:
    """The rows of one panel, times in microseconds."""

    title: str
    measured_us: np.ndarray
    predicted_us: np.ndarray

    def thinned(self) -> Cloud:
        step = max(1, -(-len(self.measured_us) // MOST_MARKS))
        return Cloud(self.title, self.measured_us[::step], self.predicted_us[::step])


def cloud_of(case: Cases) -> Cloud:
    """A table's held-out rows, with the scale and constant of the other half."""
    predicted_us, held = answered(case, load_calibration()).time_us, case.held_out
    fit = scale_and_constant(predicted_us[~held], case.measured_us[~held])
    return Cloud(
        f"{case.source}, {case.gpu.id}", case.measured_us[held], np.maximum(fit.apply(predicted_us[held]), 0.1)
    )


def own_clouds() -> Iterator[Cloud]:
    """The H200's held-out layers, as predicted."""
    rows = [row for row in timed_layers() if row.held_out and row.l2 == "warm"]
    for op, dtype in _OWN:
        alike = [row for row in rows if (row.op, str(row.dtype)) == (op, dtype)]
        times = np.array([answer.time_us for answer in answers_to(alike, load_calibration())])
        yield Cloud(f"{op}, {dtype}", measured(alike), times)


def network_clouds(rows: Sequence[Mapping[str, Any]]) -> Iterator[Cloud]:
    for title, name in (("one layer after another", ""), ("chains fused", "fused_")):
        known = [row for row in rows if row[f"{name}measured_us"]]
        columns = (np.array([row[f"{name}{of}_us"] for row in known]) for of in ("measured", "predicted"))
        yield Cloud(title, *columns)


def scatter(title: str, clouds: Sequence[Cloud]) -> str:
    """An SVG with a panel per cloud: measured across, predicted up, both logarithmic, and the line where they agree."""
    parts = [
        _panel(cloud.thinned(), _GAP + at % _ACROSS * (_SIDE + _GAP), TOP - 8 + at // _ACROSS * (_SIDE + _GAP))
        for at, cloud in enumerate(clouds)
    ]
    assert _ACROSS * (_SIDE + _GAP) + _GAP <= WIDTH + _GAP
    return svg_page(title, TOP + -(-len(clouds) // _ACROSS) * (_SIDE + _GAP), parts)


def _panel(cloud: Cloud, left: float, top: float) -> str:
    values = [*cloud.measured_us.tolist(), *cloud.predicted_us.tolist()]
    across, up = log_scale(values, left, left + _SIDE), log_scale(values, top + _SIDE, top)
    grid = "".join(
        f'<path class="g" d="M{across(t):.0f} {top}v{_SIDE}M{left} {up(t):.0f}h{_SIDE}"/>'
        f'<text class="r" x="{left - 4}" y="{up(t) + 3:.0f}">{si(t, "us")}</text>'
        f'<text class="m" x="{across(t):.0f}" y="{top + _SIDE + 12}">{si(t, "us")}</text>'
        for t in across.ticks
    )
    pairs = zip(cloud.measured_us.tolist(), cloud.predicted_us.tolist(), strict=True)
    marks = "".join(f"M{across(x):.1f} {up(y):.1f}h0" for x, y in pairs)
    return (
        f'{grid}<path class="g" d="M{left} {top + _SIDE}L{left + _SIDE} {top}" style="stroke-width:2"/>'
        f'<path class="l0" d="{marks}" style="fill:none;stroke-width:3;stroke-linecap:round;opacity:.6"/>'
        f'<text class="m" x="{left + _SIDE / 2:.0f}" y="{top - 6}">{escape(cloud.title)}</text>'
    )


def charts(
    convolutions: Sequence[Cases], products: Sequence[Cases], networks: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    """Every chart by the name of its file: its title and its text."""
    forward = [case for case in convolutions if case.direction == "forward"]
    gradients = [case for case in convolutions if case.direction != "forward"]
    clouds: dict[str, tuple[str, list[Cloud]]] = {
        "h200": ("Layers of the H200 with a warm L2", list(own_clouds())),
        "networks": ("Whole networks on the H200, none of whose family was fitted on", list(network_clouds(networks))),
        "convolutions": ("Convolutions of outside tables", [cloud_of(case) for case in forward]),
        "gradients": ("Gradients of outside tables", [cloud_of(case) for case in gradients]),
        "products": ("Matrix products of outside tables", [cloud_of(case) for case in products]),
    }
    return {
        f"accuracy-{name}.svg": (title, scatter(f"{title}: predicted against measured", found))
        for name, (title, found) in clouds.items()
    }
