"""The parent's side of a probe: run it in a worker, then read what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headroom.errors import GpuError
from headroom.measure.jobs import Json, run_job
from headroom.measure.probe.result import Probe
from headroom.store.rows import System

if TYPE_CHECKING:
    from headroom.measure.fleet.fleet import Fleet

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
    return _read(found, f"GPU {gpu}")


def probe_fleet(fleet: Fleet, *, quick: bool = False) -> dict[System, Probe]:
    """Measure one GPU of every kind in ``fleet``, each while nothing else runs there.

    Raises:
        GpuError: as :func:`probe_gpu`; or the fleet has no worker.
    """
    from headroom.measure.fleet.items import JobItem

    item = JobItem("probe", {"quick": quick}, LIMIT_S)
    agendas = {kind.system: iter([item]) for kind in fleet.kinds()}
    return {answer.system: _read(answer.told, answer.system.gpu) for answer in fleet.perform(agendas)}


def _read(found: Json | None, where: str) -> Probe:
    if found is None:
        raise GpuError(f"two workers died while they probed {where}; run headroom selftest there")
    probe = Probe.from_json(found)
    if not probe.figures:
        name, reason = next(iter(probe.failures.items()), ("probe", "it ran no experiment"))
        raise GpuError(f"nothing could be measured on {where}; {name}: {reason}; run headroom selftest")
    return probe
