"""Other work that needs a GPU and runs in a worker: the stopwatch's own test, probes, networks, counters, profiles.

A job is a function ``run(arguments, say) -> result``, called in the worker process. ``arguments`` and ``result`` are
JSON objects; ``arguments["gpu"]`` is the GPU's index. ``say`` sends a JSON object to the parent at once, for progress.
What it raises reaches the parent: a :class:`~headroom.errors.HeadroomError` as itself, anything else as a ``GpuError``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

Json = dict[str, Any]
Say = Callable[[Json], None]
Job = Callable[[Json, Say], Json]

#: Where each job lives. The parent knows only the names.
JOBS = {
    "selftest": "headroom.measure.selftest:run",
    "poison": "headroom.measure.selftest:poison",
    "probe": "headroom.measure.probe.job:run",
    "network": "headroom.measure.networks.job:run",
    "counters": "headroom.measure.counters.job:run",
    "profile": "headroom.measure.profiles.recording.job:run",
    "library-logs": "headroom.measure.profiles.recording.logs:run",
}

#: Longest that a job may take, in seconds, unless its caller knows better.
LIMIT_S = 600.0


def find_job(name: str) -> Job:
    """The function behind ``name``, or at the address ``module:function``; importing it may load CUDA: worker only."""
    module, _, function = JOBS.get(name, name).partition(":")
    job: Job = getattr(import_module(module), function)
    return job


def run_job(
    name: str,
    arguments: Json,
    *,
    gpu: int = 0,
    on_progress: Callable[[Json], None] | None = None,
    limit_s: float = LIMIT_S,
) -> Json:
    """Run a job in a worker of its own on GPU ``gpu`` and wait for its result, at most ``limit_s`` seconds.

    ``name`` is one of :data:`JOBS`, or the address of a function like theirs.

    Raises:
        GpuError: the worker cannot start, died or took too long; the sentence says why.
        HeadroomError: whatever the job itself raised.
    """
    from headroom.measure.client import Worker

    with Worker(gpu) as worker:
        return worker.run_job(name, arguments, on_progress=on_progress, limit_s=limit_s)
