"""The parent's side of timing layers dense and packed, on this machine's GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from headroom.change.synapses.planning.timing import LEAST_ERROR_PCT, asked_of, untimed
from headroom.change.synapses.planning.workers import worker_on
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.measure.client import Worker
from headroom.measure.jobs import Json

_JOB = "headroom.change.fission.timing_job:layer"


@dataclass(frozen=True)
class Times:
    """A layer's times of one run.

    Attributes:
        dense_us: the dense layer's, by PyTorch's libraries in the faster order of memory.
        error_pct: of every time.
        packed_us: by format; a time that does not count is not in it.
    """

    dense_us: float
    error_pct: float
    packed_us: Mapping[str, float]


@dataclass(frozen=True)
class Stopwatch:
    """A worker on a GPU that times layers in one data type, with weights in DRAM (``cold``) or where they stay."""

    worker: Worker
    dtype: DataType
    cold: bool
    index: int = 0

    def __call__(self, layer: Layer, options: Json, forms: Sequence[str]) -> Times:
        """The dense layer and its packed twins, sampled in turn.

        Args:
            layer: as the graph has it: its input says the shape.
            options: what PyTorch's layer is made with.

        Raises:
            GpuError: the worker died, or no time of the dense layer counts.
        """
        asked = asked_of(layer, options, self.dtype, self.index) | {"forms": list(forms), "cold": self.cold}
        told = self.worker.run_job(_JOB, asked)
        dense_us, *packed_us = told["median_us"]
        if not dense_us:
            raise untimed(layer, told)
        spread = max(100 * (iqr or 0.0) / us for us, iqr in zip(told["median_us"], told["iqr_us"], strict=True) if us)
        packed = {form: us for form, us in zip(forms, packed_us, strict=True) if us is not None}
        return Times(dense_us, max(LEAST_ERROR_PCT, spread), packed)


@contextmanager
def stopwatch_on(dtype: DataType, index: int, *, cold: bool, shared: bool, wanted: bool) -> Iterator[Stopwatch | None]:
    """What measures layers in one data type on a GPU that is ours, where that is wanted.

    Raises:
        GpuError: there is no GPU, or others use it and ``shared`` does not allow that.
    """
    with worker_on(index, shared=shared, wanted=wanted) as worker:
        yield Stopwatch(worker, dtype, cold, index) if wanted else None
