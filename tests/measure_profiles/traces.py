"""Small traces in the form that PyTorch's profiler gives them, built by hand where no recorded one shows the case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.reading import read_profile

Raw = dict[str, Any]

HOST, GPU = 1, 0


def span(category: str, name: str, start_us: float, duration_us: float, tid: int = 1, **arguments: Any) -> Raw:
    pid = GPU if category in ("kernel", "gpu_memcpy", "gpu_memset", "Kernel") else HOST
    args = {key.replace("_", " "): value for key, value in arguments.items()}
    return {
        "ph": "X",
        "cat": category,
        "name": name,
        "pid": pid,
        "tid": tid,
        "ts": start_us,
        "dur": duration_us,
        "args": args,
    }


def operator(name: str, start_us: float, duration_us: float, identity: int, tid: int = 1, **arguments: Any) -> Raw:
    return span("cpu_op", name, start_us, duration_us, tid, External_id=identity, **arguments)


def runtime(name: str, start_us: float, duration_us: float, correlation: int, tid: int = 1, **arguments: Any) -> Raw:
    return span("cuda_runtime", name, start_us, duration_us, tid, correlation=correlation, **arguments)


def kernel(name: str, start_us: float, duration_us: float, correlation: int, **arguments: Any) -> Raw:
    return span("kernel", name, start_us, duration_us, 7, correlation=correlation, **arguments)


def step(number: int, start_us: float, duration_us: float) -> Raw:
    return span("user_annotation", f"ProfilerStep#{number}", start_us, duration_us)


def profile(folder: Path, *events: Raw, **header: Any) -> Profile:
    path = folder / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, **header, "traceEvents": list(events)}))
    return read_profile(path)
