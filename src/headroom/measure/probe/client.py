"""The parent's side of a probe: run it in a worker, then read what it found."""

from __future__ import annotations

from collections.abc import Callable

from headroom.errors import GpuError
from headroom.measure.jobs import run_job
from headroom.measure.probe.result import Probe

#: The whole of it takes some ten seconds on a large GPU; a small one under another's load takes longer.
LIMIT_S = 300.0


def probe_gpu(gpu: int, doing: Callable[[str], None], *, quick: bool = False) -> Probe:
    """Measure the sheet of GPU ``gpu`` in a worker of its own; ``doing`` is told each step.

    Raises:
        GpuError: there is no such GPU, a library is missing, the worker died, or nothing could be measured.
    """
    found = run_job(
        "probe",
        {"quick": quick},
        gpu=gpu,
        on_progress=lambda progress: doing(progress["step"]),
        limit_s=LIMIT_S,
    )
    probe = Probe.from_json(found)
    if not probe.figures:
        name, reason = next(iter(probe.failures.items()), ("probe", "it ran no experiment"))
        raise GpuError(f"nothing could be measured on GPU {gpu}; {name}: {reason}; run headroom selftest")
    return probe
