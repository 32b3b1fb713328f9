"""DeLTA's sensitivity sweeps (its appendix) on an H200: time and bytes over one dimension of a convolution at a time.

    python benchmarks/h200_sensitivity.py measure OUT_FOLDER [--dtype bf16,fp32] [--limit SECONDS] [--dry-run]
    python benchmarks/h200_sensitivity.py page OUT_FOLDER

The layer is the appendix's: 256 channels, 13x13, 128 filters of 3x3, stride 1, batch 256; output channels, input
channels, feature size or batch varies. ``page`` draws the theory's curves with what was measured as dots (none yet
where OUT_FOLDER has no rows), writes ``docs/sensitivity.md`` and ``docs/charts/sensitivity-*.svg``, and keeps the rows
in ``benchmarks/results/h200_sensitivity.jsonl``. A cold L2 throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from counted_layers import Point, arguments, run
from delta_study import charts
from delta_study.figures import SWEEPS, swept_convolution
from delta_study.networks import layer_of
from headroom.gpu.sheets import load_gpu
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.counters import predict_counters
from headroom.predict.model import predict_layers
from record import ROOT
from traffic_rows import LEVELS, gmae, judged, ratios_of, sees_l1

NAME = "h200_sensitivity"
PAGE, CHARTS = ROOT / "docs" / "sensitivity.md", ROOT / "docs" / "charts"
GPU = load_gpu("h200")
DTYPES = (DataType.BF16, DataType.FP32)

#: What is measured of each sweep: some ten of its points.
EVERY = {"output channels": 3, "input channels": 3, "feature size": 2, "mini-batch": 3}

#: Charts: the file's ending, the title, the unit, and the curves with the field of a prediction and of a row.
CHARTS_OF = (
    ("time", "Time", "us", {"time": ("time_us", "time_us")}),
    ("traffic", "Bytes", "B", {
        "L1": ("l1_bytes", "l1_bytes"), "L2": ("l2_bytes", "l2_bytes"), "DRAM": ("dram_bytes", "dram_bytes"),
    }),
)  # fmt: skip


def layer_at(axis: str, value: int) -> Layer:
    return layer_of(f"{axis} {value}", swept_convolution(axis, value))


def points(dtype: DataType) -> Iterator[Point]:
    for axis, values in SWEEPS.items():
        for value in values[:: EVERY[axis]]:
            yield Point(f"{axis} {value} {dtype}", axis, layer_at(axis, value), dtype)


def curves(dtype: DataType) -> dict[str, dict[str, list[float]]]:
    """Per axis, the theory's figures over all of its values, by field."""
    out: dict[str, dict[str, list[float]]] = {}
    for axis, values in SWEEPS.items():
        layers = [layer_at(axis, value) for value in values]
        times = [p.time_us or 0.0 for p in predict_layers(layers, GPU, dtype, l2_state="cold")]
        counters = predict_counters(layers, GPU, dtype)
        out[axis] = {"time_us": times, **{f"{x}_bytes": [getattr(c, x) for c in counters] for x in LEVELS}}
    return out


def measured(rows: Sequence[dict[str, Any]], dtype: DataType, axis: str, field: str) -> list[tuple[float, float]]:
    """What was measured along an axis, as places and values."""
    mine = [r for r in rows if (r["group"], r["dtype"]) == (axis, str(dtype)) and r.get(field)]
    if field == "l1_bytes":  # tensor copies pass its counter by
        mine = [r for r in mine if sees_l1(r)]
    return [(float(r["key"].removeprefix(f"{axis} ").split()[0]), float(r[field])) for r in mine]


def chart_files(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    files = {}
    for dtype in DTYPES:
        found = curves(dtype)
        for ending, title, unit, series in CHARTS_OF:
            axes = {
                axis: (list(SWEEPS[axis]), {name: found[axis][predicted] for name, (predicted, _) in series.items()})
                for axis in SWEEPS
            }
            dots = {
                axis: {n: measured(rows, dtype, axis, field) for n, (_, field) in series.items()} for axis in SWEEPS
            }
            whole = f"{title} of a 3x3 convolution on an H200, {dtype}: theory (lines) and measured (dots)"
            files[f"sensitivity-{dtype}-{ending}.svg"] = charts.panels(whole, axes, unit, dots)
    return files


def page(rows: Sequence[dict[str, Any]], about: dict[str, Any]) -> str:
    state = (
        f"measured on {about['system']}, {about['date']}" if about else "not measured yet: the curves are the theory's"
    )
    lines = [
        "# Sensitivity: a convolution, one dimension at a time",
        "",
        f"The sweeps of DeLTA's appendix on an H200, from a cold L2; {state}. Written by "
        "`benchmarks/h200_sensitivity.py`. The layer has 256 channels of 13x13, 128 filters of 3x3, stride 1 and batch "
        "256; one of these varies. The theory's time is that of the fastest tile, so a curve has steps where another "
        "tile takes over. Bytes are those that the counters see of one run from empty caches, as in "
        "[traffic.md](traffic.md); L1 has dots only where its counter sees the loads, which tensor copies pass by.",
        "",
    ]
    for dtype in DTYPES:
        lines += [f"## {dtype}", ""]
        for ending, title, *_ in CHARTS_OF:
            lines += [f"![{title}, {dtype}](charts/sensitivity-{dtype}-{ending}.svg)", ""]
        lines += _table(rows, dtype)
        lines += _errors(rows, dtype)
    return "\n".join(lines)


def _table(rows: Sequence[dict[str, Any]], dtype: DataType) -> list[str]:
    """Between the ends of each sweep: how much the dimension grows, and the figures with it."""
    found = curves(dtype)
    lines = [
        "| dimension | from, to | grows | time | L1 | L2 | DRAM | measured points |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for axis, values in SWEEPS.items():
        grows = [
            found[axis][name][-1] / found[axis][name][0] for name in ("time_us", "l1_bytes", "l2_bytes", "dram_bytes")
        ]
        cells = " | ".join(f"{factor:.1f}x" for factor in (values[-1] / values[0], *grows))
        lines.append(
            f"| {axis} | {values[0]}, {values[-1]} | {cells} | {len(measured(rows, dtype, axis, 'time_us'))} |"
        )
    return [*lines, ""]


def _errors(rows: Sequence[dict[str, Any]], dtype: DataType) -> list[str]:
    """How far the theory is off along each dimension, with its own kernel and with the one that ran."""
    mine = [row for row in rows if row["dtype"] == dtype]
    if not mine:
        return []
    lines = [
        "Mean factor by which the theory is off (points), with its own kernel and with the one that ran where its name "
        "is known; DRAM on footprints of twice the L2 and more:",
        "",
        "| dimension | kernel | time | L1 | L2 | DRAM |",
        "|---|---|---:|---:|---:|---:|",
    ]
    layers = {point.key: point.layer for point in points(dtype)}
    for axis in SWEEPS:
        along = [row for row in mine if row["group"] == axis]
        found = judged(along, list(points(dtype)))
        times = predict_layers([layers[row["key"]] for row in along], GPU, dtype, l2_state="cold")
        off = [(p.time_us or 0.0) / row["time_us"] for p, row in zip(times, along, strict=True)]
        own = " | ".join(_cell(ratios_of(found, level, lambda row: row.chosen)) for level in LEVELS)
        known = " | ".join(_cell(ratios_of(found, level, lambda row: row.known)) for level in LEVELS)
        lines += [f"| {axis} | own | {_cell(off)} | {own} |", f"| {axis} | known | | {known} |"]
    return [*lines, ""]


def _cell(ratios: Sequence[float]) -> str:
    return f"{gmae(ratios):.1f} % ({len(ratios)})" if ratios else "–"


def write_page(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    for name, svg in chart_files(rows).items():
        (CHARTS / name).write_text(svg, "utf-8")
    PAGE.write_text(page(rows, about), "utf-8")
    return PAGE.read_text("utf-8")


if __name__ == "__main__":
    run(arguments(__doc__), NAME, points, write_page)
