"""The process that touches the GPU. Whatever a library does to it is done to it alone.

It is started by :mod:`headroom.measure.client` and serves one request after another (:mod:`headroom.measure.protocol`)
until its standard input ends, which means that its parent is gone. Its answers travel on a private copy of standard
output; the descriptor itself leads to standard error, where whatever libraries print does no harm.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from typing import BinaryIO

from headroom.children import die_with
from headroom.errors import GpuError, HeadroomError
from headroom.measure import protocol
from headroom.measure.bench import Bench, Facts
from headroom.measure.fake_script import script_in_use
from headroom.measure.jobs import find_job
from headroom.measure.layer import PoisonedError, measure_layer
from headroom.measure.protocol import Message
from headroom.measure.task import Task
from headroom.store.rows import Implementation, Timing

#: What a GPU's bench is called, unless ``HEADROOM_BENCH`` asks for the fake.
_REAL_BENCH = "headroom.measure.cuda.bench"


def main(gpu: int, parent: int) -> None:
    """Serve the requests of process ``parent`` for GPU ``gpu``."""
    die_with(parent)
    channel = _Channel(_private_stdout())
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    server = _Server(gpu, channel)
    while True:
        try:
            server.answer(protocol.decode(requests.get()))
        except PoisonedError:
            channel.send({"event": "poisoned"})
            os._exit(1)  # an orderly end would touch the lost context again
        except Exception as error:  # noqa: BLE001 - the parent is told, and decides
            channel.send(protocol.error_to_json(error, traceback.format_exc()))


class _Channel:
    """Where messages go; as a :class:`~headroom.measure.tell.Tell`, rows too."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe

    def send(self, message: Message) -> None:
        try:
            self._pipe.write(protocol.encode(message))
        except OSError:
            os._exit(1)  # nobody is listening any more

    def trying(self, implementation: Implementation, l2: str) -> None:
        name = [implementation.backend, implementation.name, implementation.layout, implementation.math]
        self.send({"event": "trying", "implementation": name, "l2": l2})

    def waiting(self) -> None:
        self.send({"event": "waiting"})

    def running(self) -> None:
        self.send({"event": "running"})

    def timing(self, timing: Timing) -> None:
        self.send({"event": "timing", "timing": protocol.timing_to_json(timing)})


class _Server:
    """What the worker does. The first request that needs a bench opens it: jobs have the GPU to themselves."""

    def __init__(self, gpu: int, channel: _Channel) -> None:
        self._gpu, self._channel = gpu, channel
        self._bench: Bench | None = None

    def answer(self, request: Message) -> None:
        match request["ask"]:
            case "facts":
                self._channel.send({"event": "facts", "facts": protocol.facts_to_json(self._facts())})
            case "measure":
                task = Task.from_json(request["task"])
                known = [protocol.timing_from_json(row) for row in request["known"]]
                measure_layer(task, self._opened(), self._channel, known=known, seconds=request["seconds"])
                self._channel.send({"event": "measured"})
                gc.collect()  # tensors caught in cycles would be missing from the next layer's memory
            case "job":
                self._channel.send({"event": "result", "result": self._run(request["job"], request["arguments"])})

    def _run(self, job: str, arguments: Message) -> Message:
        try:
            return find_job(job)({**arguments, "gpu": self._gpu}, self._progress)
        except ImportError as error:
            raise GpuError(f"this needs more libraries ({error}); pip install 'headroom[gpu,torch]'") from error

    def _facts(self) -> Facts:
        return self._opened().facts()

    def _opened(self) -> Bench:
        if self._bench is None:
            self._bench = open_bench(self._gpu)
            gc.collect()
            gc.freeze()  # what the libraries brought stays, and need not be looked through after every layer
        return self._bench

    def _progress(self, progress: Message) -> None:
        self._channel.send({"event": "progress", "progress": progress})


def open_bench(gpu: int) -> Bench:
    """The bench of GPU ``gpu``, or the fake where the environment asks for it.

    Raises:
        GpuError: a library is missing, or there is no such GPU.
    """
    if (script := script_in_use()) is not None:
        from headroom.measure.fake import FakeBench

        return FakeBench(script, gpu)
    try:
        bench: Bench = import_module(_REAL_BENCH).CudaBench(gpu)
    except ImportError as error:
        raise GpuError(f"measuring needs more libraries ({error}); pip install 'headroom[gpu,torch]'") from error
    except HeadroomError:
        raise
    except Exception as error:
        raise GpuError(f"GPU {gpu} cannot be used: {type(error).__name__}: {error}") from error
    return bench


def _private_stdout() -> BinaryIO:
    """Standard output for messages alone: descriptor 1 leads to standard error from now on."""
    private = os.dup(1)
    os.set_inheritable(private, False)
    os.dup2(2, 1)
    return os.fdopen(private, "wb", buffering=0)


def _listen(requests: queue.SimpleQueue[bytes]) -> None:
    """Hand on requests; when there can be no more, end this process and those that it started."""
    with suppress(OSError):
        for line in iter(sys.stdin.buffer.readline, b""):
            requests.put(line)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
