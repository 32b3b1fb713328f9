"""Staircases as predicted and as measured so far, on one chart: what the scripts on staircases draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headroom.advise.questions.answer import Lines
from headroom.advise.stored import measurements_of
from headroom.change.widths.staircase.curve import Staircase
from headroom.change.widths.staircase.reading import Reading, read
from headroom.change.widths.staircase.study import Subject, variants_graph
from headroom.change.widths.staircase.table import width_table
from headroom.errors import UsageError
from headroom.gpu.sheets import load_gpu
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.report.html.charts import DataTable, LineChart
from headroom.report.html.lines import line_chart
from headroom.report.html.page import render_page
from headroom.report.html.staircase import Section
from headroom.store.several import Stores


@dataclass(frozen=True)
class Drawn:
    """A layer by its number of filters, as predicted and, where there are rows, as measured."""

    name: str
    dtype: DataType
    predicted: Reading
    measured: Reading | None

    @property
    def off_pct(self) -> float | None:
        """Mean distance of prediction and measurement."""
        return None if self.measured is None else off_pct(self.predicted.staircase, self.measured.staircase)


def draw(name: str, subject: Subject, dtype: DataType, gpu_id: str, store: Stores) -> Drawn:
    """The staircase of ``subject`` on the GPU of that sheet."""
    gpu = load_gpu(gpu_id)
    about = (subject.layer, gpu, dtype, subject.out_widths, subject.in_widths)
    predicted = read(width_table(*about, source="predicted").staircases[0])
    known = measurements_of(store, variants_graph(name, [subject]), gpu, dtype, "warm")
    try:
        measured = width_table(*about, measurements=known, source="measured").staircases[0]
    except UsageError:  # no width of it was measured
        return Drawn(name, dtype, predicted, None)
    return Drawn(name, dtype, predicted, read(measured) if len(measured.points) > 1 else None)


def off_pct(predicted: Staircase, measured: Staircase) -> float:
    pairs = [(predicted.at(point.width), point) for point in measured.points]
    off = [abs(guess.latency_us / point.latency_us - 1) for guess, point in pairs if guess is not None]
    return 100 * sum(off) / len(off)


def section(key: str, title: str, stands: str, curves: Sequence[Drawn]) -> Section:
    """Latency and throughput of several staircases, predicted and measured, on one chart each."""
    heads = ("curve", "type", "steps", "widths that no wider one beats")
    table = tuple((each.name, str(each.dtype), str(len(each.predicted.steps)), best(each)) for each in curves)
    charts = (_chart("Latency", "latency us", curves, "latency_us"), _chart("Throughput", "TFLOP/s", curves, "tflops"))
    return Section(key, title, stands, charts, DataTable(heads, table))


def charts_page(model: str, gpu: GpuSpec, sections: Sequence[Section]) -> str:
    """A page of staircases that are predicted, and measured where there are rows."""
    chips = ["predicted", "measured where there are rows"]
    return render_page(
        "staircase.html.j2", model=model, gpu=gpu.name, chips=chips, sections=sections, together=None, notes=[]
    )


def best(each: Drawn) -> str:
    return ", ".join(str(point.width) for point in (each.measured or each.predicted).dominating)


def _chart(title: str, unit: str, curves: Sequence[Drawn], value: str) -> LineChart:
    series = []
    for each in curves:
        for word, reading in (("predicted", each.predicted), ("measured", each.measured)):
            if reading is not None:
                places = tuple((float(p.width), float(getattr(p, value))) for p in reading.staircase.points)
                series.append((f"{each.name}, {word}", places))
    return replace(line_chart(Lines(title, "filters", unit, tuple(series)), value), help="By number of filters.")
