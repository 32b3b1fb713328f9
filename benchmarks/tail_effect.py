"""The tail-effect paper's figures of how general staircases are: predicted, and measured where there are rows.

    python benchmarks/tail_effect.py [DATABASE] [--measure] [--gpu INDEX] [--budget SECONDS]

Writes ``docs/tail-effect.md``, the interactive page ``docs/charts/tail-effect.html`` and ``results/tail_effect.json``.
Figures 1, 3, 5, 6, 9, 10 and 11, from their captions and text; where those do not say a shape, ours is said. With a
DATABASE of an H200's rows its measured widths stand beside the prediction; ``--measure`` fills it first, on this
machine's GPU, and goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headroom.advise.questions.answer import Lines
from headroom.advise.stored import measurements_of
from headroom.change.widths.staircase.curve import Staircase
from headroom.change.widths.staircase.reading import Reading, read
from headroom.change.widths.staircase.spec import parse_conv
from headroom.change.widths.staircase.steps import Trend
from headroom.change.widths.staircase.study import Subject, subjects_of_conv, variants_graph
from headroom.change.widths.staircase.table import width_table
from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.report.html.charts import DataTable, LineChart
from headroom.report.html.lines import line_chart
from headroom.report.html.page import render_page
from headroom.store.default import open_for_reading
from headroom.store.notebook import open_for_measuring
from headroom.store.several import Stores
from record import ROOT, write_result
from staircases import fill

H200, PAPERS = "h200", "titan-v"
WIDE = "k=64:512:8"


@dataclass(frozen=True)
class Curve:
    """One line of a figure: a layer by its number of filters, on a GPU."""

    name: str
    conv: str
    dtype: DataType = DataType.BF16
    gpu: str = H200

    @property
    def subject(self) -> Subject:
        (subject,) = subjects_of_conv(parse_conv(self.conv), self.dtype)
        return subject


@dataclass(frozen=True)
class Figure:
    """``shows`` is what the paper's figure shows, and what of its shapes is ours."""

    numbers: str
    title: str
    shows: str
    curves: tuple[Curve, ...]


_VERIFIED = f"c=512,h=64,w=64,{WIDE}"
_CONV3, _CONV5 = "c=64,h={0},w={0},k=8:64:8", "c=128,h={0},w={0},k=8:128:8"

FIGURES = (
    Figure(
        "1 and 3",
        "Latency of a network's layers by their width",
        "Steps in every layer, different ones in each. Ours: batch 1, four layers of each network.",
        (
            *(
                Curve(f"VGG16 on CIFAR-10, {size}x{size}", f"c={width},h={size},w={size},k=8:{width}:8")
                for size, width in ((32, 64), (16, 128), (8, 256), (4, 512))
            ),
            *(
                Curve(f"ResNet-50, 3x3 on {size}x{size}", f"c={width},h={size},w={size},k=8:{width}:8")
                for size, width in ((56, 64), (28, 128), (14, 256), (7, 512))
            ),
        ),
    ),
    Figure(
        "5 and 6",
        "Blocks, waves and latency of a 3x3 convolution on 64x64x512",
        "On a TITAN V latency rises once per 80 blocks, which are 80 filters and one wave. Equation 3 fitted to the "
        "prediction for that GPU says how many filters a wave holds there.",
        (
            Curve("H200, bf16", _VERIFIED),
            Curve("H200, fp32", _VERIFIED, DataType.FP32),
            Curve("TITAN V, fp32", _VERIFIED, DataType.FP32, PAPERS),
        ),
    ),
    Figure(
        "9",
        "Batches of 1 to 256",
        "Steps at every batch; larger batches have higher ones, and CONV5, with 128 filters, more than CONV3, with 64. "
        "Ours: VGG16 on ImageNet, 112x112 and 56x56.",
        tuple(
            Curve(f"{name}, batch {batch}", f"{shape.format(size)},n={batch}")
            for name, shape, size in (("CONV3", _CONV3, 112), ("CONV5", _CONV5, 56))
            for batch in (1, 4, 16, 64, 256)
        ),
    ),
    Figure(
        "10",
        "Resolutions of 128 to 1024",
        "Steps from low to high resolution. Ours: the resolution is the network's input, batch 1.",
        tuple(
            Curve(f"{name} at {resolution}", shape.format(resolution // shrink))
            for name, shape, shrink in (("CONV3", _CONV3, 2), ("CONV5", _CONV5, 4))
            for resolution in (128, 256, 512, 1024)
        ),
    ),
    Figure(
        "11",
        "Filters of 1x1, 3x3, 5x5 and depthwise 3x3",
        "Steps for every dense filter; the depthwise one grows in a nearly straight line. Ours: 64x64x512, batch 1.",
        (
            *(Curve(f"{size}x{size}", f"c=512,h=64,w=64,r={size},s={size},{WIDE}") for size in (1, 3, 5)),
            Curve("depthwise 3x3", f"c=512,h=64,w=64,groups=c,{WIDE}"),
        ),
    ),
)


@dataclass(frozen=True)
class Drawn:
    """A curve as predicted and, where there are rows, as measured."""

    curve: Curve
    predicted: Reading
    measured: Reading | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--budget", type=float)
    asked = parser.parse_args()
    if asked.measure:
        if asked.database is None:
            parser.error("name the database that the rows go to")
        ours = [curve for figure in FIGURES for curve in figure.curves if curve.gpu == H200]
        with open_for_measuring(asked.database) as records:
            fill(records, [(curve.subject, curve.dtype) for curve in ours], asked.gpu, asked.budget)
    with open_for_reading(asked.database) as store:
        drawn = [(figure, [draw(curve, store) for curve in figure.curves]) for figure in FIGURES]
    write_result("tail_effect", {"figures": [as_json(*each) for each in drawn]})
    (ROOT / "docs" / "tail-effect.md").write_text(page(drawn))
    (ROOT / "docs" / "charts" / "tail-effect.html").write_text(interactive(drawn))


def draw(curve: Curve, store: Stores) -> Drawn:
    subject, gpu = curve.subject, load_gpu(curve.gpu)
    about = (subject.layer, gpu, curve.dtype, subject.out_widths, subject.in_widths)
    predicted = read(width_table(*about, source="predicted").staircases[0])
    known = measurements_of(store, variants_graph(curve.name, [subject]), gpu, curve.dtype, "warm")
    try:
        measured = width_table(*about, measurements=known, source="measured").staircases[0]
    except UsageError:  # no width of it was measured
        return Drawn(curve, predicted, None)
    return Drawn(curve, predicted, read(measured) if len(measured.points) > 1 else None)


def page(drawn: Sequence[tuple[Figure, Sequence[Drawn]]]) -> str:
    lines = [
        "# The tail-effect paper's figures, made again",
        "",
        "Latency by number of filters, predicted, and measured where there are rows. Written by",
        "`benchmarks/tail_effect.py`; the [interactive page](charts/tail-effect.html) has every point. *Steady* is the",
        "share of the widths in intervals without growth, *equation 3* the paper's model fitted to the prediction with",
        "its mean residual, *off* the mean distance of prediction and measurement.",
        "A layer that fits into one wave at every width, as those of batch 1 on small images do on today's GPUs, has",
        "no steps: the paper's GPU had 80 SMs and kernels without tensor cores.",
    ]
    for figure, curves in drawn:
        lines += ["", f"## Figures {figure.numbers}: {figure.title}", "", figure.shows, ""]
        lines += [
            "| curve | type | widths | steps | largest | steady | waves | equation 3 | latency µs | measured | off |"
        ]
        lines += ["|---|---|---|---:|---:|---:|---|---|---|---|---:|"]
        lines += [row(each) for each in curves]
    return "\n".join(lines) + "\n"


def row(each: Drawn) -> str:
    curve, reading = each.predicted.staircase, each.predicted
    first, last = curve.points[0], curve.points[-1]
    steady = sum(interval.points for interval in reading.intervals if interval.trend is Trend.STEADY)
    largest = max((step.rise_pct for step in reading.steps), default=0.0)
    measured, off = "–", "–"
    if each.measured is not None:
        measured = f"{len(each.measured.staircase.points)} widths, steps: {len(each.measured.steps)}"
        off = f"{off_pct(curve, each.measured.staircase):.0f} %"
    waves = "–" if first.waves is None else f"{first.waves} to {last.waves}"
    return (
        f"| {each.curve.name} | {each.curve.dtype} | {first.width} to {last.width} | {len(reading.steps)} "
        f"| {largest:+.0f} % | {100 * steady / len(curve.points):.0f} % | {waves} "
        f"| {reading.model.wave_width:.0f} filters per wave, {reading.model.residual_pct:.0f} % "
        f"| {first.latency_us:.1f} to {last.latency_us:.1f} | {measured} | {off} |"
    )


def off_pct(predicted: Staircase, measured: Staircase) -> float:
    pairs = [(predicted.at(point.width), point) for point in measured.points]
    off = [abs(guess.latency_us / point.latency_us - 1) for guess, point in pairs if guess is not None]
    return 100 * sum(off) / len(off)


def as_json(figure: Figure, curves: Sequence[Drawn]) -> dict[str, Any]:
    return {"figure": figure.numbers, "title": figure.title, "curves": [curve_json(each) for each in curves]}


def curve_json(each: Drawn) -> dict[str, Any]:
    def times(reading: Reading | None) -> dict[int, float]:
        return {} if reading is None else {p.width: round(p.latency_us, 3) for p in reading.staircase.points}

    curve = each.curve
    about = {"name": curve.name, "conv": curve.conv, "dtype": str(curve.dtype), "gpu": curve.gpu}
    return {**about, "predicted_us": times(each.predicted), "measured_us": times(each.measured)}


@dataclass(frozen=True)
class _Section:
    """What the page's template draws of a figure."""

    key: str
    title: str
    stands: str
    charts: tuple[LineChart, ...]
    table: DataTable
    sentences: tuple[str, ...] = ()


def interactive(drawn: Sequence[tuple[Figure, Sequence[Drawn]]]) -> str:
    return render_page(
        "staircase.html.j2",
        model="The tail-effect paper's figures",
        gpu=load_gpu(H200).name,
        chips=["predicted", "measured where there are rows"],
        sections=[section(number, *each) for number, each in enumerate(drawn)],
        together=None,
    )


def section(number: int, figure: Figure, curves: Sequence[Drawn]) -> _Section:
    heads = ("curve", "type", "steps", "widths that no wider one beats")
    table = tuple(
        (each.curve.name, str(each.curve.dtype), str(len(each.predicted.steps)), best(each)) for each in curves
    )
    charts = [chart("Latency", "latency us", curves, "latency_us"), chart("Throughput", "TFLOP/s", curves, "tflops")]
    return _Section(
        f"f{number}", f"Figures {figure.numbers}: {figure.title}", figure.shows, tuple(charts), DataTable(heads, table)
    )


def best(each: Drawn) -> str:
    return ", ".join(str(point.width) for point in (each.measured or each.predicted).dominating)


def chart(title: str, unit: str, curves: Sequence[Drawn], value: str) -> LineChart:
    series = []
    for each in curves:
        for word, reading in (("predicted", each.predicted), ("measured", each.measured)):
            if reading is not None:
                places = tuple((float(p.width), float(getattr(p, value))) for p in reading.staircase.points)
                series.append((f"{each.curve.name}, {word}", places))
    return replace(line_chart(Lines(title, "filters", unit, tuple(series)), value), help="By number of filters.")


if __name__ == "__main__":
    main()
