"""The same graph in other data types: measured where there are rows, else the theory held against another type's rows.

A layer that takes 1.4 times what the theory says in bf16 is taken to do so in fp16 and fp8 as well. Without that, a
bound in a type that was never measured would be compared with one that was, and the theory's error would look like a
gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from headroom.advise.measurements import Measurements
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Prediction, Source

#: Types whose rows tell most of a type's kernels: of the same width, then of the same units.
_ALIKE: Mapping[DataType, tuple[DataType, ...]] = {
    DataType.FP8: (DataType.BF16, DataType.FP16, DataType.TF32),
    DataType.BF16: (DataType.FP16, DataType.TF32),
    DataType.FP16: (DataType.BF16, DataType.TF32),
    DataType.TF32: (DataType.BF16, DataType.FP16, DataType.FP32),
    DataType.FP32: (DataType.TF32,),
}


@dataclass(frozen=True)
class OtherTypes(Mapping[DataType, TimedGraph]):
    """``timed`` in each other type that its GPU has units for, timed when first asked for."""

    timed: TimedGraph
    measurements: Measurements | None = None
    _found: dict[DataType, TimedGraph] = field(default_factory=dict, repr=False, compare=False)
    _rows: dict[DataType, TimedGraph] = field(default_factory=dict, repr=False, compare=False)

    def __iter__(self) -> Iterator[DataType]:
        return (dtype for dtype in DataType if dtype is not self.timed.dtype and self.timed.gpu.supports(dtype))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, dtype: DataType) -> TimedGraph:
        if dtype not in list(self):
            raise KeyError(dtype)
        if dtype not in self._found:
            self._found[dtype] = self._timed_in(dtype)
        return self._found[dtype]

    @property
    def own(self) -> TimedGraph:
        """``timed`` itself, where it lacks rows corrected like the others: else it could not be compared with them."""
        return self._timed_in(self.timed.dtype)

    def _timed_in(self, dtype: DataType) -> TimedGraph:
        plain = self._measured_in(dtype)
        if self.measurements is None or not plain.theory_fills or all(plain.timings):
            return plain
        alike = (self._measured_in(other) for other in _ALIKE[dtype] if self.timed.gpu.supports(other))
        told = next((other for other in alike if any(other.timings)), None)
        return plain if told is None else corrected(plain, told)

    def _measured_in(self, dtype: DataType) -> TimedGraph:
        if dtype is self.timed.dtype:
            return self.timed
        if dtype not in self._rows:
            timed = TimedGraph.predict(self.timed.graph, self.timed.gpu, dtype, self.timed.l2_state)
            if self.measurements is not None:
                timed = timed.measured_by(self.measurements, theory_fills=self.timed.theory_fills)
            self._rows[dtype] = timed
        return self._rows[dtype]


def corrected(timed: TimedGraph, alike: TimedGraph) -> TimedGraph:
    """``timed`` with each predicted time multiplied by how far the theory is off for that layer in ``alike``, never
    below the layer's floor."""
    predictions = tuple(
        _longer(prediction, alike.measured_over_predicted(configuration.members[0]))
        for configuration, prediction in timed.pairs()
    )
    return replace(timed, predictions=predictions, alike=alike)


def _longer(prediction: Prediction, factor: float) -> Prediction:
    if prediction.time_us is None or prediction.source is Source.MEASURED:
        return prediction
    return replace(prediction, time_us=max(prediction.floor_us, prediction.time_us * factor))
