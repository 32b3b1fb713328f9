"""The page of a plan for synapse vectors: the front, the chosen point, and every layer's ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headroom import figures
from headroom.advise.questions.answer import Lines
from headroom.change.synapses.planning.applied import Applied
from headroom.change.synapses.planning.study import LayerStudy, Study
from headroom.report.html.charts import DataTable, LineChart
from headroom.report.html.lines import line_chart
from headroom.report.html.page import render_page
from headroom.report.slim_words import (
    FRONT_HEADS,
    HEADS,
    done,
    front_rows,
    judged,
    points,
    rows,
    sentences,
    verdict,
)
from headroom.text import view

_HELP = "Each mark is a combination that no other one beats in both; losses are the sums of the layers'."
_WAY_HEADS = ("kept", "grain", "time", "from", "loss", "outputs off")


@dataclass(frozen=True)
class _Section:
    """A layer as the template draws it."""

    key: str
    title: str
    table: DataTable


def render_slim(study: Study, applied: Applied | None = None) -> str:
    """A single file that needs nothing else."""
    system = [view(study.system, 160)] if study.system else []
    return render_page(
        "slim.html.j2",
        model=view(study.model, 80),
        gpu=view(study.gpu_name, 60),
        chips=[f"batch {study.batch}", study.dtype, f"L2 {study.l2}", *system],
        verdict=verdict(study),
        judged=judged(study),
        charts=[_front(study)],
        front=DataTable(FRONT_HEADS, tuple(front_rows(study))),
        layers=DataTable(HEADS, tuple(rows(study))),
        sections=[_section(layer, f"l{at}") for at, layer in enumerate(study.layers) if len(layer.ways) > 1],
        sentences=list(sentences(study)),
        done=list(done(study, applied)) if applied else [],
    )


def _front(study: Study) -> LineChart:
    """Speedup against loss, with the chosen point on it."""
    marks = tuple((point.loss_points, study.speedup(point)) for point in study.front)
    series = [("front", marks)]
    if study.chosen is not None:
        series.append(("chosen", ((study.chosen.loss_points, study.speedup(study.chosen)),)))
    lines = Lines("Speedup against loss", "loss points", "speedup", tuple(series))
    return replace(line_chart(lines, "front", even=True), help=_HELP)


def _section(layer: LayerStudy, key: str) -> _Section:
    lines = tuple(
        (
            f"{way.retained} of {way.vectors}",
            "dense" if way.grain is None else way.grain.value,
            figures.time_with_error(way.time_us, way.error_pct),
            way.source.value,
            points(way.loss_points),
            figures.percent(way.output_error),
        )
        for way in layer.ways
    )
    how = f"chosen by {layer.correlated}, made up for by {layer.transform}"
    return _Section(key, f"{view(layer.name, 60)}: {how}", DataTable(_WAY_HEADS, lines))
