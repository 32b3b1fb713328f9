"""The process that ``ncu`` watches: each subject's implementation is built by its name and runs once.

    python -m headroom.measure.counters.runner REQUEST RESULT GPU

Only what lies between the profiler's start and stop is counted. In front of each subject stands a marker kernel, so
that the kernels behind it can be told from the next one's.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headroom.measure.bench import Bench, Program, Replaying, UnsupportedError
from headroom.measure.counters.request import Subject
from headroom.measure.task import Task
from headroom.measure.worker import open_bench

#: Part of the marker kernel's name: no implementation waits by spinning.
MARKER = "spin_kernel"

_MARKER_CYCLES = 1000
_LOOK_S = 1.0


def main(request: Path, result: Path, gpu: int) -> None:
    """Run every subject of ``request`` and write to ``result`` how each fared: a list of ``reason``, empty where it
    ran, and ``marked``, whether its marker was launched.
    """
    _end_with_parent()
    bench = open_bench(gpu)
    fared: list[dict[str, Any]] = []
    for data in json.loads(request.read_text()):
        fared.append(_run(Subject.from_json(data), bench))
        result.write_text(json.dumps(fared))  # after each: the next one may end this process


def _run(subject: Subject, bench: Bench) -> dict[str, Any]:
    fare: dict[str, Any] = {"reason": "", "marked": False}
    try:
        program = built(subject, bench)
        program.launch()  # libraries load their kernels at the first launch
        with _profiled():
            fare["marked"] = True
            program.launch()
    except Exception as error:  # noqa: BLE001 - whatever a library raises is this subject's answer
        fare["reason"] = bench.failure(error).reason or type(error).__name__
    return fare


def built(subject: Subject, bench: Bench) -> Program:
    """The implementation, found among what its library offers.

    Raises:
        UnsupportedError: the library does not offer it any more.
    """
    task = Task(subject.chain, subject.dtype)
    operands = bench.operands(task)
    wanted = subject.implementation
    for backend in bench.backends:
        if backend.name != wanted.backend:
            continue
        if isinstance(backend, Replaying):
            return backend.candidate(task, operands, wanted).build()
        for candidate in backend.candidates(task, operands):
            if candidate.implementation == wanted:
                return candidate.build()
    raise UnsupportedError(f"{wanted.backend} does not offer {wanted.name} here any more; measure the layer again")


@contextmanager
def _profiled() -> Iterator[None]:
    """What runs within is counted, behind a marker. Without a GPU, in a rehearsal, nothing is."""
    import torch

    if not torch.cuda.is_available():
        yield
        return
    profiler: Any = torch.cuda.profiler
    torch.cuda.synchronize()
    profiler.start()
    try:
        torch.cuda._sleep(_MARKER_CYCLES)
        yield
        torch.cuda.synchronize()
    finally:
        profiler.stop()


def _end_with_parent() -> None:
    """``ncu`` may be killed and leave this process behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
