"""The tail-effect paper's figures of how general staircases are: predicted, and measured where there are rows.

    python benchmarks/tail_effect.py [DATABASE] [--measure] [--budget SECONDS] [--dry-run]

Writes ``docs/tail-effect.md``, the interactive page ``docs/charts/tail-effect.html`` and ``results/tail_effect.json``.
Figures 1, 3, 5, 6, 9, 10 and 11, from their captions and text; where those do not say a shape, ours is said. With a
DATABASE of an H200's rows its measured widths stand beside the prediction; ``--measure`` fills it first, on every GPU
that CUDA shows (``staircase_sweep.py``), and goes on where it stopped. ``--dry-run`` measures two layers on fake GPUs
and writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.change.widths.staircase.reading import Reading
from headroom.change.widths.staircase.spec import parse_conv
from headroom.change.widths.staircase.steps import Trend
from headroom.change.widths.staircase.study import Subject, subjects_of_conv
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.store.default import open_for_reading
from headroom.store.several import Stores
from record import ROOT, write_result
from staircase_drawing import Drawn, charts_page, draw, section
from staircase_sweep import fill, rehearse

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


#: What is measured: the layers of all figures, each by its widths.
SUBJECTS = tuple((curve.subject, curve.dtype) for figure in FIGURES for curve in figure.curves if curve.gpu == H200)

#: The first of them, for a rehearsal.
FEW = SUBJECTS[:2]

#: A figure with its curves as they are drawn.
Shown = tuple[Figure, list[tuple[Curve, Drawn]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path, nargs="?")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--budget", type=float, help="seconds that measuring may take in all")
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_args()
    if asked.dry_run:
        rehearse(f"{Path(__file__).stem}:FEW", asked.budget)
        return
    if asked.measure:
        if asked.database is None:
            parser.error("name the database that the rows go to")
        fill(Path(__file__).stem, asked.database, asked.budget)
    with open_for_reading(asked.database) as store:
        drawn: list[Shown] = [
            (figure, [(each, curve_drawn(each, store)) for each in figure.curves]) for figure in FIGURES
        ]
    write_result("tail_effect", {"figures": [as_json(*each) for each in drawn]})
    (ROOT / "docs" / "tail-effect.md").write_text(page(drawn))
    (ROOT / "docs" / "charts" / "tail-effect.html").write_text(interactive(drawn))


def curve_drawn(curve: Curve, store: Stores) -> Drawn:
    return draw(curve.name, curve.subject, curve.dtype, curve.gpu, store)


def page(drawn: Sequence[Shown]) -> str:
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
        lines += [row(each) for _, each in curves]
    return "\n".join(lines) + "\n"


def row(each: Drawn) -> str:
    curve, reading = each.predicted.staircase, each.predicted
    first, last = curve.points[0], curve.points[-1]
    steady = sum(interval.points for interval in reading.intervals if interval.trend is Trend.STEADY)
    largest = max((step.rise_pct for step in reading.steps), default=0.0)
    measured, off = "–", "–"
    if each.measured is not None and each.off_pct is not None:
        measured = f"{len(each.measured.staircase.points)} widths, steps: {len(each.measured.steps)}"
        off = f"{each.off_pct:.0f} %"
    waves = "–" if first.waves is None else f"{first.waves} to {last.waves}"
    return (
        f"| {each.name} | {each.dtype} | {first.width} to {last.width} | {len(reading.steps)} "
        f"| {largest:+.0f} % | {100 * steady / len(curve.points):.0f} % | {waves} "
        f"| {reading.model.wave_width:.0f} filters per wave, {reading.model.residual_pct:.0f} % "
        f"| {first.latency_us:.1f} to {last.latency_us:.1f} | {measured} | {off} |"
    )


def as_json(figure: Figure, curves: Sequence[tuple[Curve, Drawn]]) -> dict[str, Any]:
    return {"figure": figure.numbers, "title": figure.title, "curves": [curve_json(*each) for each in curves]}


def curve_json(curve: Curve, each: Drawn) -> dict[str, Any]:
    def times(reading: Reading | None) -> dict[int, float]:
        return {} if reading is None else {p.width: round(p.latency_us, 3) for p in reading.staircase.points}

    about = {"name": curve.name, "conv": curve.conv, "dtype": str(curve.dtype), "gpu": curve.gpu}
    return {**about, "predicted_us": times(each.predicted), "measured_us": times(each.measured)}


def interactive(drawn: Sequence[Shown]) -> str:
    sections = [
        section(f"f{number}", f"Figures {figure.numbers}: {figure.title}", figure.shows, [each for _, each in curves])
        for number, (figure, curves) in enumerate(drawn)
    ]
    return charts_page("The tail-effect paper's figures", load_gpu(H200), sections)


if __name__ == "__main__":
    main()
