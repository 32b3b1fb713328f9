"""Steps of a run under PyTorch's profiler, and the file that they are kept in."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.measure.networks.device import Device, Run
from headroom.measure.profiles.guide import GUIDE
from headroom.measure.profiles.kineto import OURS, STEP
from headroom.measure.profiles.recording.marks import speaking as speaking_modules

if TYPE_CHECKING:
    import torch
    from torch.profiler import ProfilerActivity


def record_steps(
    module: torch.nn.Module, inference: Run, device: Device, steps: int, trace: Path, *, speaking: bool
) -> None:
    """Write ``steps`` marked inferences to ``trace``, behind one in which the profiler gets warm.

    In that one the modules inside ``module`` say their paths, if it is ``speaking``: no Python code of theirs runs in
    a compiled or replayed inference.
    """
    from torch.profiler import profile, record_function

    with profile(activities=_activities(device), record_shapes=True) as profiler:
        with speaking_modules(module, wanted=speaking), record_function(GUIDE):
            inference()
        device.wall_us(inference, 1)
        for number in range(steps):
            with record_function(f"{STEP}#{number}"):
                inference()
    profiler.export_chrome_trace(str(trace))


def keep_trace(raw: Path, about: Mapping[str, Any], place: Path) -> None:
    """Move the trace from ``raw`` to ``place``, compressed, with what Headroom knows ``about`` it.

    The machine's name stays behind: a trace travels.
    """
    trace = json.loads(raw.read_text("utf-8", errors="replace"), strict=False)
    for private in ("host_name", "traceName"):
        trace.pop(private, None)
    with gzip.GzipFile(place, "wb", mtime=0) as packed:
        packed.write(json.dumps({OURS: about} | trace, separators=(",", ":")).encode())
    raw.unlink()


def _activities(device: Device) -> Sequence[ProfilerActivity]:
    from torch.profiler import ProfilerActivity

    on_gpu = device.torch.type == "cuda"
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
