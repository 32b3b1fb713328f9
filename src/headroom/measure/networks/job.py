"""The worker's side: run one network in every mode that is asked for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from headroom.errors import GpuError, UsageError
from headroom.measure.bench import UnsupportedError
from headroom.measure.jobs import Json, Say
from headroom.measure.networks.device import Device, Gpu, Host
from headroom.measure.networks.gauge import Gauge, gauge_of_gpu, no_gauge
from headroom.measure.networks.measuring import measure_modes
from headroom.measure.networks.network import load_network
from headroom.measure.networks.request import Request


def run(arguments: Json, say: Say) -> Json:
    """Measure ``arguments["request"]`` on GPU ``arguments["gpu"]``; say each row as soon as it is there.

    Raises:
        GpuError: PyTorch finds no GPU.
        ModelError: the model cannot be read or rebuilt.
        UsageError: no framework runs whole networks in the data type.
    """
    import torch

    if not torch.cuda.is_available():
        raise GpuError("PyTorch finds no GPU to run a network on; install a CUDA build of PyTorch")
    index = int(arguments.get("gpu", 0))
    return measured(Request.from_json(arguments["request"]), Gpu(index), gauge_of_gpu(index), say)


def rehearse(arguments: Json, say: Say) -> Json:
    """The same on the CPU, which proves the way through and measures nothing worth keeping."""
    return measured(Request.from_json(arguments["request"]), Host(), no_gauge(), say)


def measured(request: Request, device: Device, gauge: Gauge, say: Say) -> Json:
    """Load the network, then a row per mode."""
    say({"step": f"loading {request.model}"})
    try:
        network = load_network(request, device)
    except UnsupportedError as error:
        raise UsageError(str(error)) from error
    rows: list[dict[str, Any]] = []
    for timing in measure_modes(network, request, device, gauge):
        rows.append(asdict(timing))
        say({"timing": rows[-1]})
    return {"timings": rows}
