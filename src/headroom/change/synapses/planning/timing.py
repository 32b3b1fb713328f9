"""The parent's side of timing slim layers and networks in turn with the dense ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headroom.change.synapses.planning.applied import Measured
from headroom.change.synapses.planning.clock import Time
from headroom.change.synapses.vectors import Grain
from headroom.errors import GpuError
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.measure.client import Worker
from headroom.measure.jobs import Json
from headroom.predict.prediction import Source

_JOB = "headroom.change.synapses.planning.timing_job"

#: What a measured layer is off by between processes, at least: the bar that nine of ten repeats stay inside.
LEAST_ERROR_PCT = 3.0


@dataclass(frozen=True)
class Size:
    """A slim layer to time: its grain, how many vectors stay, whether it selects them itself."""

    grain: Grain
    retained: int
    gathers: bool


@dataclass(frozen=True)
class Stopwatch:
    """A worker on a GPU that times layers in one data type."""

    worker: Worker
    dtype: DataType
    index: int = 0

    def __call__(self, layer: Layer, options: Json, sizes: Sequence[Size]) -> list[Time]:
        """The times of the dense layer and of each slim one, sampled in turn.

        Args:
            layer: as the graph has it: its input says the shape.
            options: what PyTorch's layer is made with.

        Raises:
            GpuError: the worker died, or no time of the dense layer counts.
        """
        wanted = [(size.grain.value, size.retained, size.gathers) for size in sizes]
        asked = asked_of(layer, options, self.dtype, self.index) | {"sizes": wanted}
        told = self.worker.run_job(f"{_JOB}:layers", asked)
        found = [_time(*each) for each in zip(told["median_us"], told["iqr_us"], strict=True)]
        if not found[0].time_us < float("inf"):
            raise untimed(layer, told)
        return found


def asked_of(layer: Layer, options: Json, dtype: DataType, index: int) -> dict[str, Any]:
    """What a job that times a layer has to know of the dense one. ``options`` are what PyTorch's layer is made with."""
    return {
        "kind": "conv" if isinstance(layer.work, Convolution) else "linear",
        "options": options,
        "shape": list(layer.inputs[0].shape),
        "dtype": dtype.value,
        "gpu": index,
    }


def untimed(layer: Layer, told: Json) -> GpuError:
    """The dense layer, first of those that were timed, has no time."""
    return GpuError(f"the dense layer {layer.name} has no time that counts: {told['reasons'][0]}")


def time_networks(
    worker: Worker, target: str, folder: Path, shape: Sequence[int], dtype: DataType, index: int = 0
) -> Measured:
    """The dense network at ``target`` and the slim one in ``folder``, timed in turn.

    Raises:
        GpuError: the worker died, or a time does not count.
    """
    asked = {"target": target, "folder": str(folder), "shape": list(shape), "dtype": dtype.value, "gpu": index}
    told = worker.run_job(f"{_JOB}:networks", asked, limit_s=600.0)
    (dense_us, slim_us), spreads = told["median_us"], told["iqr_us"]
    if any(told["reasons"]) or dense_us is None or slim_us is None:
        raise GpuError(f"the networks have no times that count: {'; '.join(filter(None, told['reasons']))}")
    noise = max(100 * spread / median for spread, median in zip(spreads, told["median_us"], strict=True))
    return Measured(told["device"], dense_us, slim_us, noise)


def _time(median_us: Any, iqr_us: Any) -> Time:
    """Never faster than anything, where it does not count."""
    if median_us is None:
        return Time(float("inf"), 0.0, Source.UNKNOWN)
    return Time(median_us, max(LEAST_ERROR_PCT, 100 * (iqr_us or 0.0) / median_us), Source.MEASURED)
