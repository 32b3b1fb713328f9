"""Which system this is, without starting a worker: resuming a run with nothing to do must not load CUDA.

Only a worker can tell: it asks the libraries that it has loaded. What it found is remembered under a fingerprint of
everything that decides which libraries those are, so that the memory is never asked about a system that has changed.
A run that has anything to measure starts a worker and takes its word.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from headroom._version import __version__
from headroom.errors import UsageError
from headroom.files import write_whole
from headroom.measure import protocol
from headroom.measure.bench import Facts
from headroom.measure.driver import Driver
from headroom.measure.protocol import GarbageError

#: Beginnings of the names of installed packages that decide what runs.
_LIBRARIES = ("torch-", "triton-", "nvidia_", "nvidia-", "nvmath", "cuda_", "cuda-")

#: Variables that lead to other libraries or GPUs than the installed ones.
_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")

#: Remembered systems; the oldest is forgotten.
_MOST_REMEMBERED = 64


def recall(driver: Driver) -> Facts | None:
    """What a worker found when everything was as it is now; ``None`` where none ever ran."""
    found = _memory().get(_fingerprint(driver))
    with suppress(GarbageError):
        return None if found is None else protocol.facts_from_json(found)
    return None


def remember(driver: Driver, facts: Facts) -> None:
    """Keep what a worker found. Where it cannot be kept, the next run starts a worker to ask again."""
    memory = {**_memory(), _fingerprint(driver): protocol.facts_to_json(facts)}
    kept = dict(list(memory.items())[-_MOST_REMEMBERED:])
    with suppress(OSError, UsageError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(), json.dumps(kept, indent=1))


def _fingerprint(driver: Driver) -> str:
    packages = sorted({name for folder in sys.path for name in _packages(folder)})
    variables = [os.environ.get(name, "") for name in _VARIABLES]
    parts = [__version__, sys.version, driver.uuid, driver.name, driver.version, *packages, *variables]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _packages(folder: str) -> list[str]:
    """The installed packages in a folder that matter, with their versions: ``torch-2.11.0.dist-info``."""
    with suppress(OSError):
        names = os.listdir(folder or ".")  # noqa: PTH208 - names are all that is wanted, of thousands
        return [name for name in names if name.endswith(".dist-info") and name.lower().startswith(_LIBRARIES)]
    return []


def _memory() -> dict[str, protocol.Message]:
    with suppress(OSError, ValueError):
        found = json.loads(_file().read_text("utf-8"))
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if isinstance(value, dict)}
    return {}


def _file() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    return Path(caches) / "headroom" / "systems.json"
