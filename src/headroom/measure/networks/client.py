"""The parent's side: ask a worker to run a whole network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headroom.graph.tensor import DataType
from headroom.graph.torch.callable import is_callable_address
from headroom.measure.jobs import Json, run_job
from headroom.measure.networks.modes import usual_modes
from headroom.measure.networks.request import ENERGY_SECONDS, Request
from headroom.store.rows import NetworkTiming, Status

#: torch.compile takes up to a minute per mode, autotuning several.
LIMIT_S = 1800.0


def measure_network(
    model: str,
    dtype: DataType,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    modes: Sequence[str] = (),
    energy_seconds: float = ENERGY_SECONDS,
    gpu: int = 0,
    on_timing: Callable[[NetworkTiming], None] | None = None,
    limit_s: float = LIMIT_S,
) -> tuple[NetworkTiming, ...]:
    """Latency, energy and memory of a whole network as frameworks run it: a row per mode, whatever becomes of it.

    Args:
        model: ``package.module:callable``, or the path of an ``.onnx`` file, which runs with random weights.
        batch: samples per inference; the model's own where ``None``.
        dims: values for the symbolic dimensions of an ONNX file.
        modes: names of :data:`headroom.measure.networks.modes.MODES`; the usual ones where empty.
        energy_seconds: how long each mode runs for its energy; 0 leaves the energy out.
        on_timing: called with each row as soon as it is there, so that it can be recorded at once.

    Raises:
        UsageError: a mode is unknown.
        ModelError: the model cannot be read.
        GpuError: there is no GPU, or the worker died.
    """
    request = Request(
        model=model if is_callable_address(model) else str(Path(model).resolve()),
        dtype=dtype,
        modes=tuple(modes) or usual_modes(),
        batch=batch,
        dims=dict(dims or {}),
        energy_seconds=energy_seconds,
    )

    def on_progress(message: Json) -> None:
        if on_timing is not None and "timing" in message:
            on_timing(timing_from_json(message["timing"]))

    result = run_job("network", {"request": request.to_json()}, gpu=gpu, on_progress=on_progress, limit_s=limit_s)
    return tuple(timing_from_json(row) for row in result["timings"])


def timing_from_json(data: Json) -> NetworkTiming:
    """The row that the worker sent."""
    return NetworkTiming(**data | {"dtype": DataType(data["dtype"]), "status": Status(data["status"])})
