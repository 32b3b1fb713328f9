"""Real execution profiles: PyTorch's of an H200, and ONNX Runtime's of a CPU."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.reading import read_profile

FOLDER = Path(__file__).with_name("recorded_profiles")

#: ``NETWORK-BATCH-VARIANT`` of every H200 trace that lies here.
NAMES = sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*-*-*.json.gz"))


def recorded(name: str) -> Profile:
    """The trace of this name, read."""
    return read_profile(FOLDER / f"{name}.json.gz")


def raw_trace(name: str) -> dict[str, Any]:
    """The same as the JSON that the profiler wrote."""
    trace: dict[str, Any] = json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))
    return trace
