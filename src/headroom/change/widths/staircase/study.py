"""The staircases of one layer, or of every layer of a model that has widths."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headroom.advise.measurements import Measurements
from headroom.change.widths.staircase.layers import at_widths, has_width, is_tied, widths_of
from headroom.change.widths.staircase.reading import Reading, read
from headroom.change.widths.staircase.spec import ConvSpec, Range
from headroom.change.widths.staircase.table import usual_step, width_table
from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.own.choice import calibration_note, calibration_title
from headroom.predict.prediction import Source

#: Names that a sentence about an unknown layer offers.
_OFFERED = 3


@dataclass(frozen=True)
class Subject:
    """A layer and the widths to look at. ``count`` says how often the model has it; no ``in_widths`` is its own."""

    layer: Layer
    out_widths: tuple[int, ...]
    in_widths: tuple[int, ...] = ()
    count: int = 1

    def variants(self) -> Iterator[Layer]:
        """The layer at each of its output widths."""
        groups = 1 if is_tied(self.layer) else getattr(self.layer.work, "groups", 1)
        return (at_widths(self.layer, width) for width in self.out_widths if width % groups == 0)


@dataclass(frozen=True)
class LayerReading:
    """A layer with its staircases, one per input width."""

    subject: Subject
    readings: tuple[Reading, ...]

    @property
    def layer(self) -> Layer:
        return self.subject.layer


@dataclass(frozen=True)
class Study:
    """The staircases of ``model``'s layers. ``system`` is the title of the one whose measurements were asked;
    ``calibration`` says what the constants of predicted times were fitted to.
    """

    model: str
    gpu: GpuSpec
    dtype: DataType
    l2: str
    layers: tuple[LayerReading, ...]
    system: str | None = None
    calibration: str = ""

    @property
    def asks_measurements(self) -> bool:
        """Whether any point was measured, or scaled to meet one that was."""
        return self._has_any(Source.MEASURED, Source.INTERPOLATED)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user's own calibration means for points that are predicted, or scaled predictions."""
        note = calibration_note(self.gpu) if self._has_any(Source.PREDICTED, Source.INTERPOLATED) else None
        return () if note is None else (note,)

    def _has_any(self, *sources: Source) -> bool:
        curves = (reading.staircase for each in self.layers for reading in each.readings)
        return any(point.source in sources for curve in curves for point in curve.points)


def subjects_of_conv(spec: ConvSpec, dtype: DataType) -> tuple[Subject, ...]:
    """The convolution that was described in words."""
    step = usual_step(dtype)
    return (Subject(spec.layer, spec.out.widths(step), () if is_tied(spec.layer) else spec.into.widths(step)),)


def subjects_of(
    graph: Graph, dtype: DataType, name: str | None = None, out: Range | None = None, into: Range | None = None
) -> tuple[Subject, ...]:
    """The layer called ``name``, or every distinct layer of ``graph`` that has widths.

    Args:
        name: of the node, or of the module that it belongs to.
        out, into: the widths; by default the layer's own input width, and output widths from an eighth of its own to a
            quarter more.

    Raises:
        UsageError: there is no such layer, or it has no widths.
    """
    layers = [(each.layer, each.count) for each in graph.configurations if has_width(each.layer)]
    if name is not None:
        layers = [(_named(graph, name), 1)]
        widths_of(layers[0][0])
    if not layers:
        raise UsageError(f"{graph.name} has no layer with a width: staircases are of convolutions and linear layers")
    step = usual_step(dtype)
    return tuple(
        Subject(layer, (out or _usual(layer, step)).widths(step), into.widths(step) if into else (), count)
        for layer, count in layers
    )


def study(
    model: str,
    subjects: Sequence[Subject],
    gpu: GpuSpec,
    dtype: DataType,
    *,
    l2: str = "warm",
    measurements: Measurements | None = None,
    source: str = "auto",
) -> Study:
    """Read the staircases of ``subjects``; the arguments are those of :func:`width_table`."""
    layers = []
    for subject in subjects:
        table = width_table(
            subject.layer, gpu, dtype, subject.out_widths, subject.in_widths, l2=l2, measurements=measurements,
            source=source,
        )  # fmt: skip
        layers.append(LayerReading(subject, tuple(read(curve) for curve in table.staircases)))
    system = measurements.system.title if measurements else None
    return Study(model, gpu, dtype, l2, tuple(layers), system, calibration_title(gpu))


def variants_graph(model: str, subjects: Sequence[Subject]) -> Graph:
    """The layers at all their widths, as a graph to ask a database about."""
    layers = tuple(layer for subject in subjects for layer in subject.variants())
    return Graph(model, layers, (), (), 1)


def _named(graph: Graph, name: str) -> Layer:
    called = [layer for layer in graph.layers if name in (layer.name, layer.module)]
    wide = [layer for layer in called if has_width(layer)]
    if called:
        return (wide or called)[0]
    names = [known for layer in graph.layers if has_width(layer) for known in (layer.module, layer.name) if known]
    near = difflib.get_close_matches(name, names, _OFFERED, cutoff=0.0)
    raise UsageError(f"{graph.name} has no layer {name!r}: its layers with widths are called {', '.join(near)}, …")


def _usual(layer: Layer, step: int) -> Range:
    own = widths_of(layer)[1]
    return Range(max(1, min(step, own), own // 8), own + own // 4)
