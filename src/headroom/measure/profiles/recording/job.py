"""The worker's side: run a network under PyTorch's profiler."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from headroom._version import __version__
from headroom.errors import GpuError, UsageError
from headroom.measure.bench import UnsupportedError
from headroom.measure.jobs import Json, Say
from headroom.measure.networks.device import Device, Gpu, Host, Run
from headroom.measure.networks.gauge import Gauge, gauge_of_gpu, no_gauge
from headroom.measure.networks.measuring import meaning_of, prepare
from headroom.measure.networks.modes import find_mode
from headroom.measure.networks.network import Network, find_network
from headroom.measure.networks.precision import products_in
from headroom.measure.networks.request import Request
from headroom.measure.networks.sampling import read
from headroom.measure.profiles.recording.client import TRACE
from headroom.measure.profiles.recording.steps import keep_trace, record_steps


def run(arguments: Json, say: Say) -> Json:
    """Record ``arguments["request"]`` into the folder ``arguments["folder"]``.

    Raises:
        GpuError: PyTorch finds no GPU, or the network does not run on it.
        ModelError: the model cannot be read.
        UsageError: the mode is not PyTorch's, or it is not to be had for this network or device.
    """
    request = Request.from_json(arguments["request"])
    device, gauge = device_of(arguments)
    say({"step": f"loading {request.name}"})
    network, inference = prepared(request, device)
    import torch

    with torch.inference_mode(), products_in(request.dtype):
        say({"step": f"timing {request.name} without the profiler"})
        latency_us = _latency_us(inference, device, gauge)
        say({"step": f"recording {arguments['steps']} steps"})
        mode = find_mode(request.modes[0])
        trace = Path(arguments["folder"]) / "raw.json"
        speaking = not mode.compile and not mode.captured
        record_steps(network.module, inference, device, int(arguments["steps"]), trace, speaking=speaking)
    about = {
        "version": __version__, "model": request.name, "dtype": str(request.dtype), "batch": network.batch,
        "mode": mode.name, "graph": network.digest, "latency_us": latency_us,
        "others": arguments["others"],
    }  # fmt: skip
    keep_trace(trace, about, Path(arguments["folder"]) / TRACE)
    return {"latency_us": latency_us}


def device_of(arguments: Json) -> tuple[Device, Gauge]:
    """What ``arguments`` ask to run on.

    Raises:
        GpuError: PyTorch finds no GPU.
    """
    import torch

    if not arguments["on_gpu"]:
        return Host(), no_gauge()
    if not torch.cuda.is_available():
        raise GpuError("PyTorch finds no GPU; install a CUDA build of PyTorch, or record the host with --device cpu")
    index = int(arguments.get("gpu", 0))
    return Gpu(index), gauge_of_gpu(index)


def prepared(request: Request, device: Device) -> tuple[Network, Run]:
    """The network on its device, and an inference of it in the mode that is asked for, captured or compiled.

    Raises:
        GpuError: it fails, or needs more memory than there is.
        ModelError: the model cannot be read.
        UsageError: the mode is not PyTorch's, or it is not to be had here.
    """
    import torch

    mode = find_mode(request.modes[0])
    if mode.runtime != "torch":
        raise UsageError(
            f"mode {mode.name} is not PyTorch's; use that runtime's own profiler, and give Headroom its file"
        )
    source = find_network(request)
    with torch.inference_mode(), products_in(request.dtype):
        try:
            network = source.make(device)
            return network, prepare(mode, network, device)
        except UnsupportedError as error:
            raise UsageError(f"{request.name} cannot be recorded so ({mode.name}, {request.dtype}): {error}") from error
        except (RuntimeError, TypeError, ValueError) as error:
            raise GpuError(f"{request.name} does not run ({mode.name}): {meaning_of(error, device).reason}") from error


def _latency_us(inference: Run, device: Device, gauge: Gauge) -> float:
    return round(median(read(inference, device, gauge).samples_us), 3)
