"""Starting ``ncu``, and reading what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headroom.measure.counters.metrics import METRICS, KernelCounts, counters_of
from headroom.measure.counters.parse import CountersError, parse, refusal
from headroom.measure.counters.request import Counted, Subject
from headroom.measure.counters.runner import MARKER
from headroom.text import plain_line

#: Where installers put it, where it is not on the path.
_PLACES = ("/usr/local/cuda/bin/ncu", "/opt/nvidia/nsight-compute/*/ncu")

#: ``ncu`` and Python with its libraries take half a minute to start; a layer some seconds, for its several passes.
START_S = 90.0
LAYER_S = 20.0

_RUNNER = (
    "import json, sys; sys.path[:0] = json.loads(sys.argv[1]); from pathlib import Path; "
    "from headroom.measure.counters.runner import main; main(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))"
)


def find_ncu() -> str | None:
    """The path of ``ncu``; of several installed versions the newest."""
    found = shutil.which("ncu")
    if found:
        return found
    places = [path for place in _PLACES for path in Path("/").glob(place.lstrip("/")) if os.access(path, os.X_OK)]
    return str(max(places)) if places else None


def count_with_ncu(subjects: Sequence[Subject], gpu: int) -> list[Counted]:
    """Counters of each subject, in order.

    Each kernel starts with empty caches, as ``ncu`` replays it several times, so DRAM traffic is that of a cold start.

    Raises:
        CountersError: ``ncu`` is missing, lacks the privilege, or does not work with this driver.
    """
    ncu = find_ncu()
    if ncu is None:
        raise CountersError("ncu is not installed; install Nsight Compute, which comes with the CUDA toolkit")
    with tempfile.TemporaryDirectory(prefix="headroom-") as folder:
        request, result, log = (Path(folder) / name for name in ("request.json", "result.json", "log.csv"))
        request.write_text(json.dumps([subject.to_json() for subject in subjects]))
        output = _run(_command(ncu, log, request, result, gpu), START_S + LAYER_S * len(subjects))
        text = (log.read_text(errors="replace") if log.exists() else "") + output
        fared: list[dict[str, Any]] = json.loads(result.read_text()) if result.exists() else []
    if not fared:
        raise CountersError(refusal(text) or f"ncu ran nothing: {_last_line(output)}")
    return _shared_out(subjects, fared, parse(text) if any(fare["marked"] for fare in fared) else [])


def _command(ncu: str, log: Path, request: Path, result: Path, gpu: int) -> list[str]:
    return [
        ncu,
        "--clock-control", "none",  # locking clocks needs a privilege, and bytes do not depend on them
        "--cache-control", "all",
        "--profile-from-start", "off",
        "--metrics", ",".join(METRICS),
        "--csv", "--page", "raw", "--print-units", "base",
        "--log-file", str(log),
        sys.executable, "-c", _RUNNER, json.dumps(sys.path), str(request), str(result), str(gpu),
    ]  # fmt: skip


def _run(command: Sequence[str], limit_s: float) -> str:
    """What it printed, whether it succeeded or not."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit_s, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise CountersError(f"ncu took longer than {limit_s:.0f} s and was stopped; count fewer layers") from error
    except OSError as error:
        raise CountersError(f"{command[0]} cannot be started: {error.strerror or error}") from error
    return done.stdout


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return plain_line(lines[-1]) if lines else "it printed nothing"


#: How a subject fared that the process did not come back from.
_ENDED: Mapping[str, Any] = {"reason": "the process that ran it ended", "marked": False}


def _shared_out(
    subjects: Sequence[Subject], fared: Sequence[Mapping[str, Any]], kernels: Sequence[KernelCounts]
) -> list[Counted]:
    """Give each subject the kernels behind its marker."""
    groups: list[list[KernelCounts]] = []
    for kernel in kernels:
        if MARKER in kernel.name:
            groups.append([])
        elif groups:
            groups[-1].append(kernel)
    behind = iter(groups)
    counted = []
    for index, subject in enumerate(subjects):
        fare = fared[index] if index < len(fared) else _ENDED
        mine = next(behind, []) if fare["marked"] else []
        counters = None if fare["reason"] else counters_of(subject.implementation, mine)
        missing = "" if counters else "ncu saw no kernel of it, or this GPU lacks one of the counters"
        names = tuple(plain_line(kernel.name) for kernel in mine)
        counted.append(Counted(subject, counters, fare["reason"] or missing, names))
    return counted
