"""What a layer takes with fewer synapse vectors: an ordinary smaller layer, and the gather before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from headroom.advise.measurements import Measurements
from headroom.change.widths.staircase.candidates import dominating
from headroom.change.widths.staircase.curve import Point, Staircase
from headroom.change.widths.staircase.interpolate import interpolated
from headroom.change.widths.staircase.layers import at_widths, widths_of
from headroom.change.widths.staircase.points import measured_points, predicted_points
from headroom.change.widths.staircase.steps import RESOLUTION_PCT
from headroom.change.widths.staircase.table import usual_step
from headroom.gpu.spec import GpuSpec
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Movement
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Source

#: Shares of a layer's synapse vectors that are looked at, unless a count is asked for.
SHARES = (7 / 8, 3 / 4, 5 / 8, 1 / 2, 3 / 8, 1 / 4)


@dataclass(frozen=True)
class Time:
    """A time, its error bar in percent, and where it comes from."""

    time_us: float
    error_pct: float
    source: Source

    def plus(self, other: Time) -> Time:
        """Both together; they err together, and are worth what the less certain of them is."""
        total_us = self.time_us + other.time_us
        error = (self.time_us * self.error_pct + other.time_us * other.error_pct) / total_us
        order = (Source.MEASURED, Source.INTERPOLATED, Source.PREDICTED, Source.UNKNOWN)
        return Time(total_us, error, max(self.source, other.source, key=order.index))


@dataclass(frozen=True)
class Clock:
    """Tells times on one GPU, in one data type: rows of ``measurements`` where they are, else the theory's."""

    gpu: GpuSpec
    dtype: DataType
    l2: str = "warm"
    measurements: Measurements | None = None

    def along_k(self, layer: Layer) -> AlongK:
        """The staircase of a layer along its input width.

        Raises:
            UsageError: the layer has no input width.
        """
        own, out = widths_of(layer)
        step = usual_step(self.dtype)
        widths = sorted({own, *range(step, own, max(step, step * (own // step // 256)))})
        layers = [(width, at_widths(layer, out, width)) for width in widths]
        known = {}
        if self.measurements is not None:
            known = measured_points(layers, self.measurements, self.gpu, self.dtype, self.l2)
        theory = Staircase(layer.name, "in", out, predicted_points(layers, self.gpu, self.dtype, self.l2))
        return AlongK(layer, interpolated(theory, known), self)

    def gather(self, layer: Layer, retained: int) -> Time:
        """Selecting ``retained`` of a layer's inputs into a tensor of their own."""
        read = layer.inputs[0]
        axis = 1 if len(read.shape) == 4 else len(read.shape) - 1
        shape = tuple(retained if place == axis else size for place, size in enumerate(read.shape))
        written = TensorSpec(read.name, shape, read.element)
        elements = 1
        for size in shape:
            elements *= size
        work = Movement("gather", elements, partial_read=True)
        selection = Layer(layer.name, "Gather", work, (read,), (), (written,))
        (found,) = predict_layers([selection], self.gpu, self.dtype, l2_state=self.l2)
        return Time(found.time_us or 0.0, found.error_pct or 0.0, found.source)

    def shrinks(self, layer: Layer, inputs: int, outputs: int) -> float:
        """The share of its time that a layer of so many inputs needs with so many outputs, by the theory."""
        own = widths_of(layer)[1]
        both = [at_widths(layer, width, inputs) for width in (outputs, own)]
        narrow, wide = predict_layers(both, self.gpu, self.dtype, l2_state=self.l2)
        return (narrow.time_us or 0.0) / wide.time_us if wide.time_us else 1.0


@dataclass(frozen=True)
class AlongK:
    """A layer's staircase along K, in whole input channels or features."""

    layer: Layer
    staircase: Staircase
    clock: Clock

    @cached_property
    def worth(self) -> tuple[int, ...]:
        """The counts that no larger one beats: what a GPU's tiles reward, ascending."""
        return tuple(point.width for point in dominating(self.staircase.points, RESOLUTION_PCT))

    @property
    def own(self) -> int:
        """The layer's own count."""
        return self.staircase.points[-1].width

    @property
    def dense(self) -> Time:
        return _time(self.staircase.points[-1])

    def at(self, count: int) -> Time:
        """The smaller layer alone, without a gather; between two points of a long staircase the longer time."""
        return _time(next(point for point in self.staircase.points if point.width >= count))

    def up_to(self, count: int) -> int:
        """The least count worth having that is not below ``count``."""
        return min((each for each in self.worth if each >= count), default=self.own)

    def candidates(self, shares: Sequence[float] = SHARES) -> tuple[int, ...]:
        """Counts worth having near each of ``shares``, and below all, ascending."""
        below = [count for count in self.worth if count < self.own]
        near = {min(below, key=lambda count: abs(count - share * self.own)) for share in shares} if below else set()
        return tuple(sorted(near))


def _time(point: Point) -> Time:
    return Time(point.latency_us, point.error_pct, point.source)


def times(time: Time, count: int) -> Time:
    """``count`` of them."""
    return replace(time, time_us=time.time_us * count)
