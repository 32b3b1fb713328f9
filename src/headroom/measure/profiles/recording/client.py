"""The parent's side: have a worker run a network under the profiler, and keep what it leaves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from headroom.errors import UsageError
from headroom.graph.tensor import DataType
from headroom.graph.torch.callable import is_callable_address
from headroom.measure.busy import Guard
from headroom.measure.driver import driver_of
from headroom.measure.jobs import Json, run_job
from headroom.measure.networks.request import Request
from headroom.measure.profiles.logged import folder_of
from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.reading import read_profile

#: torch.compile takes up to a minute per mode, autotuning several.
LIMIT_S = 1800.0

#: More make the trace larger and tell nothing new.
MOST_STEPS = 100

#: The worker's file names, in a folder that lives as long as the recording.
TRACE = "trace.json.gz"
LOGS = "logs"


@dataclass(frozen=True)
class Recording:
    """What is to be recorded.

    Args:
        model: ``package.module:callable``, or the path of an ``.onnx`` file, which runs with random weights.
        mode: a name of :data:`headroom.measure.networks.modes.MODES` that PyTorch runs.
        steps: marked inferences, 1 to :data:`MOST_STEPS`.
        on_gpu: on a GPU, or on the host.
        gpu: the GPU's index, as the driver counts.
        shared: although others use that GPU; the profile says so.
        logs: run it once more with the logs of cuDNN and cuBLAS switched on.
    """

    model: str
    dtype: DataType
    mode: str = "eager"
    batch: int | None = None
    dims: tuple[tuple[str, int], ...] = ()
    steps: int = 3
    on_gpu: bool = True
    gpu: int = 0
    shared: bool = False
    logs: bool = False


@dataclass(frozen=True)
class Recorded:
    """The files that a recording left, and the profile as it reads back."""

    trace: Path
    logs: tuple[Path, ...]
    profile: Profile


def record(recording: Recording, out: Path, on_step: Callable[[str], None] = lambda step: None) -> Recorded:
    """Record into ``out``, a ``.json.gz``; the libraries' logs go to the folder ``out`` with ``.logs`` at its end.

    Files are whole or absent: they are made beside their place and moved there.

    Raises:
        UsageError: the mode is unknown or not PyTorch's, or ``out`` cannot be written.
        ModelError: the model cannot be read or run.
        GpuError: there is no GPU, others use it, or the worker died.
    """
    if not 1 <= recording.steps <= MOST_STEPS:
        raise UsageError(f"--steps {recording.steps}: expected 1 to {MOST_STEPS}")
    if recording.logs and not recording.on_gpu:
        raise UsageError("--logs are those of the GPU's libraries; leave them out, or record on the GPU")
    request = Request(
        model=recording.model if is_callable_address(recording.model) else str(Path(recording.model).resolve()),
        dtype=recording.dtype,
        modes=(recording.mode,),
        batch=recording.batch,
        dims=dict(recording.dims),
    )
    with _beside(out) as beside:
        folder = Path(beside)
        others = _others(recording)
        _run("profile", recording, request, folder, on_step, others=others)
        if recording.logs:
            (folder / LOGS).mkdir()
            _run("library-logs", recording, request, folder / LOGS, on_step)
        profile = replace(read_profile(folder / TRACE), title=out.name)
        return Recorded(out, _kept(folder, out), profile)


def _beside(out: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix=".headroom-", dir=out.absolute().parent)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}; choose another place with --out") from error


def _others(recording: Recording) -> str:
    """Who else uses the GPU, where they may; empty where nobody does.

    Raises:
        GpuError: there is no GPU, or somebody uses it who may not.
    """
    if not recording.on_gpu:
        return ""
    with driver_of(recording.gpu) as driver:
        guard = Guard(driver, shared=recording.shared)
        guard.admit()
        return guard.others(own=0)


def _run(
    job: str, recording: Recording, request: Request, folder: Path, on_step: Callable[[str], None], others: str = ""
) -> None:
    def on_progress(message: Json) -> None:
        if "step" in message:
            on_step(str(message["step"]))

    arguments = {
        "request": request.to_json(),
        "steps": recording.steps,
        "on_gpu": recording.on_gpu,
        "folder": str(folder),
        "others": others,
    }
    run_job(job, arguments, gpu=recording.gpu, on_progress=on_progress, limit_s=LIMIT_S)


def _kept(folder: Path, out: Path) -> tuple[Path, ...]:
    """Move the trace to its place, and the logs of the libraries that were called; returns the logs."""
    try:
        (folder / TRACE).replace(out)
        written = [log for log in sorted(folder.glob(f"{LOGS}/*.log")) if log.stat().st_size]
        place = folder_of(out)
        if (folder / LOGS).is_dir():
            place.mkdir(exist_ok=True)
            for old in place.glob("*.log"):
                old.unlink()
        return tuple(log.replace(place / log.name) for log in written)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}; choose another place with --out") from error
