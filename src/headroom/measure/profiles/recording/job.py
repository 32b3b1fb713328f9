"""The worker's side: run a network under PyTorch's profiler."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from headroom._version import __version__
from headroom.errors import GpuError, UsageError
from headroom.measure.bench import UnsupportedError
from headroom.measure.jobs import Json, Say
from headroom.measure.networks.device import Device, Gpu, Host, Run
from headroom.measure.networks.gauge import Gauge, gauge_of_gpu, no_gauge
from headroom.measure.networks.measuring import meaning_of, prepare
from headroom.measure.networks.modes import Mode, find_mode
from headroom.measure.networks.network import Network, find_network
from headroom.measure.networks.precision import products_in
from headroom.measure.networks.request import Request
from headroom.measure.networks.sampling import read
from headroom.measure.profiles.guide import GUIDE
from headroom.measure.profiles.kineto import OURS, STEP
from headroom.measure.profiles.recording.client import TRACE
from headroom.measure.profiles.recording.marks import speaking

if TYPE_CHECKING:
    from torch.profiler import ProfilerActivity


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
        _record(network, inference, mode, device, int(arguments["steps"]), trace)
    about = {
        "version": __version__, "model": request.name, "dtype": str(request.dtype), "batch": network.batch,
        "mode": mode.name, "graph": network.digest, "latency_us": latency_us,
        "others": arguments["others"],
    }  # fmt: skip
    _keep(trace, about, Path(arguments["folder"]) / TRACE)
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


def _record(network: Network, inference: Run, mode: Mode, device: Device, steps: int, trace: Path) -> None:
    """One inference that the profiler gets warm in, in which an eager network's modules speak; then the steps."""
    from torch.profiler import profile, record_function

    with profile(activities=_activities(device), record_shapes=True) as profiler:
        eager = not mode.compile and not mode.captured
        with speaking(network.module, wanted=eager), record_function(GUIDE):
            inference()
        device.wall_us(inference, 1)
        for number in range(steps):
            with record_function(f"{STEP}#{number}"):
                inference()
    profiler.export_chrome_trace(str(trace))


def _activities(device: Device) -> Sequence[ProfilerActivity]:
    from torch.profiler import ProfilerActivity

    on_gpu = device.torch.type == "cuda"
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]


def _keep(raw: Path, about: dict[str, Any], place: Path) -> None:
    """The trace with what Headroom knows about it, without the machine's name: a trace travels."""
    trace = json.loads(raw.read_text("utf-8", errors="replace"), strict=False)
    for private in ("host_name", "traceName"):
        trace.pop(private, None)
    with gzip.GzipFile(place, "wb", mtime=0) as packed:
        packed.write(json.dumps({OURS: about} | trace, separators=(",", ":")).encode())
    raw.unlink()
