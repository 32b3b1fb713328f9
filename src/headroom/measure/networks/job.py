"""The worker's side: run one network in every mode that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from headroom.errors import GpuError, ModelError
from headroom.measure.bench import Failure, UnsupportedError
from headroom.measure.jobs import Json, Say
from headroom.measure.networks.device import Device, Gpu
from headroom.measure.networks.gauge import Gauge, gauge_of_gpu
from headroom.measure.networks.measuring import meaning_of, measure_modes, rows_without
from headroom.measure.networks.network import Source, find_network
from headroom.measure.networks.request import Request
from headroom.store.rows import NetworkTiming, Status


def run(arguments: Json, say: Say) -> Json:
    """Measure ``arguments["request"]`` on GPU ``arguments["gpu"]``; say each row as soon as it is there.

    Raises:
        GpuError: PyTorch finds no GPU.
        ModelError: the model cannot be read.
    """
    import torch

    if not torch.cuda.is_available():
        raise GpuError("PyTorch finds no GPU to run a network on; install a CUDA build of PyTorch")
    index = int(arguments.get("gpu", 0))
    return measured(Request.from_json(arguments["request"]), Gpu(index), gauge_of_gpu(index), say)


def measured(request: Request, device: Device, gauge: Gauge, say: Say) -> Json:
    """Read the network, make it, then a row per mode."""
    say({"step": f"loading {request.model}"})
    source = find_network(request)
    rows: list[dict[str, Any]] = []
    for timing in _rows(source, request, device, gauge):
        rows.append(asdict(timing))
        say({"timing": rows[-1]})
    return {"timings": rows}


def _rows(source: Source, request: Request, device: Device, gauge: Gauge) -> Iterator[NetworkTiming]:
    import torch

    try:
        network = source.make(device)
    except ModelError as error:
        return rows_without(source, request, gauge, Failure(Status.UNSUPPORTED, str(error)))
    except (UnsupportedError, torch.OutOfMemoryError) as error:
        return rows_without(source, request, gauge, meaning_of(error, device))
    return measure_modes(network, request, device, gauge)
