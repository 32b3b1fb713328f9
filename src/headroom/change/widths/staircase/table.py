"""What a layer takes at each pair of input and output widths: both matter, and the best implementation changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from headroom.advise.measurements import Measurements
from headroom.advise.widths import ALIGNED
from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.interpolate import interpolated
from headroom.change.widths.staircase.layers import at_widths, is_tied, widths_of
from headroom.change.widths.staircase.points import measured_points, predicted_points
from headroom.change.widths.staircase.spec import MOST_WIDTHS
from headroom.errors import UsageError
from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType

SOURCES = ("auto", "measured", "predicted")


def usual_step(dtype: DataType) -> int:
    """Widths that are worth looking at lie this far apart: those that 16 bytes divide where tensor cores are fed so."""
    return ALIGNED.get(dtype, 1)


@dataclass(frozen=True)
class WidthTable:
    """A staircase over the output widths for each input width, in order. Of a layer whose input follows from its output
    (depthwise) there is one, ``fixed`` at 0."""

    layer: Layer
    staircases: tuple[Staircase, ...]

    @cached_property
    def _points(self) -> dict[tuple[int, int], Point]:
        return {(curve.fixed, point.width): point for curve in self.staircases for point in curve.points}

    def at(self, in_width: int, out_width: int) -> Point | None:
        """What the layer takes with these widths, where the table has them."""
        return self._points.get((0 if is_tied(self.layer) else in_width, out_width))


def width_table(
    layer: Layer,
    gpu: GpuSpec,
    dtype: DataType,
    out_widths: Sequence[int],
    in_widths: Sequence[int] = (),
    *,
    l2: str = "warm",
    measurements: Measurements | None = None,
    source: str = "auto",
) -> WidthTable:
    """The table of ``layer`` on ``gpu``.

    Args:
        out_widths, in_widths: the widths; the layer's own input width where none is given.
        measurements: rows of a system of this GPU.
        source: ``predicted``; ``measured``: only widths that were measured; ``auto``: measured where they were, and
            between them predictions scaled to meet them, or predictions alone.

    Raises:
        UsageError: the layer has no widths, or none of them was measured where only measured ones count.
    """
    if source not in SOURCES:
        raise UsageError(f"unknown source {source!r}: choose {', '.join(SOURCES)}")
    fixed = (0,) if is_tied(layer) else tuple(in_widths) or (widths_of(layer)[0],)
    found = (
        _staircase(layer, gpu, dtype, tuple(out_widths), in_width, l2, None if source == "predicted" else measurements)
        for in_width in fixed
    )
    if source != "measured":
        return WidthTable(layer, tuple(interpolated(*pair) for pair in found))
    curves = tuple(_only(predicted, measured) for predicted, measured in found if measured)
    if not curves:
        raise UsageError(
            f"no width of {layer.name or layer.step} was measured on {gpu.name} in {dtype}: measure them, or take "
            "--source auto or predicted"
        )
    return WidthTable(layer, curves)


def _staircase(
    layer: Layer,
    gpu: GpuSpec,
    dtype: DataType,
    widths: tuple[int, ...],
    in_width: int,
    l2: str,
    measurements: Measurements | None,
) -> tuple[Staircase, dict[int, Point]]:
    """The prediction at every width that is looked at or was measured between them, and what was measured."""
    known: dict[int, Point] = {}
    if measurements is not None:
        # Whoever measured may have looked at other widths than these.
        between = range(min(widths), max(widths) + 1) if max(widths) - min(widths) < MOST_WIDTHS else ()
        known = measured_points(layers_at(layer, sorted({*widths, *between}), in_width), measurements, gpu, dtype, l2)
    layers = layers_at(layer, sorted({*widths, *known}), in_width)
    return Staircase(layer.name, "out", in_width, predicted_points(layers, gpu, dtype, l2)), known


def layers_at(layer: Layer, widths: Sequence[int], in_width: int) -> list[tuple[int, Layer]]:
    """The layer at each width that it can have: groups leave some out."""
    step = getattr(layer.work, "groups", 1) if not is_tied(layer) else _multiplier(layer)
    fitting = [width for width in widths if width % step == 0]
    if not fitting:
        raise UsageError(f"no width of {layer.name or layer.step} is a multiple of its {step} groups: ask for others")
    return [(width, at_widths(layer, width, in_width or None)) for width in fitting]


def _multiplier(layer: Layer) -> int:
    """Outputs per input of a depthwise convolution."""
    in_width, out_width = widths_of(layer)
    return out_width // in_width


def _only(predicted: Staircase, measured: dict[int, Point]) -> Staircase:
    points = tuple(measured[width] for width in sorted(measured))
    return Staircase(predicted.layer, predicted.axis, predicted.fixed, points)
