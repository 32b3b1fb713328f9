"""One GPU with everything needed to run a chain on it: the :class:`~headroom.measure.bench.Bench` of the worker."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch

from headroom.errors import GpuError
from headroom.measure import backends
from headroom.measure.bench import Backend, Check, Facts, Failure, Operands, Program, Reading
from headroom.measure.cuda.facts import facts_of
from headroom.measure.cuda.failures import failure_of
from headroom.measure.cuda.gpu_state import NvmlState
from headroom.measure.cuda.graph_nodes import kernels_of
from headroom.measure.cuda.operands import TorchOperands
from headroom.measure.cuda.reference import Reference
from headroom.measure.cuda.replay import CudaPlayer
from headroom.measure.cuda.stopwatch import Stopwatch
from headroom.measure.task import Task
from headroom.measure.turn import Turn
from headroom.store.rows import Kernel

#: A flush reads a buffer of that many times the L2 cache's size, so that nothing older is left in it.
FLUSHED_L2_SIZES = 2.5


#: Share of the GPU's memory that PyTorch may keep from one task to the next without using it: there are other workers.
_MOST_CACHED = 0.02


class CudaBench:
    """GPU ``gpu_index`` as CUDA counts it.

    From its making on, one stream of its own is the current one: backends launch there, graphs are captured there.
    """

    def __init__(self, gpu_index: int) -> None:
        """
        Raises:
            GpuError: PyTorch has no CUDA, or there is no such GPU.
        """
        if not torch.cuda.is_available():
            raise GpuError("PyTorch finds no GPU here; its CUDA build and a driver are needed to measure")
        if gpu_index >= torch.cuda.device_count():
            raise GpuError(f"there is no GPU {gpu_index}: this machine has {torch.cuda.device_count()}")
        torch.cuda.set_device(gpu_index)
        torch.cuda.set_stream(torch.cuda.Stream())
        properties = torch.cuda.get_device_properties(gpu_index)
        self._index, self._name, self._uuid = gpu_index, properties.name, f"GPU-{properties.uuid}"
        self._state = NvmlState(self._uuid)
        self._player = CudaPlayer()
        self._player.renew()
        self._memory_bytes = properties.total_memory
        elements = int(FLUSHED_L2_SIZES * properties.L2_cache_size) // 4
        self._flushed, self._sink = torch.ones(elements, device="cuda"), torch.zeros((), device="cuda")
        self._flush()  # its kernel is loaded now, not in the first capture
        self._watch = Stopwatch(self._player, self._state, self._flush)
        self._turn = Turn(self._uuid)
        self._registered = backends.load()
        self._ready: Program | None = None
        self._kernels: tuple[Program, tuple[Kernel, ...]] | None = None
        self._reference: tuple[Operands, Reference] | None = None

    @property
    def backends(self) -> Sequence[Backend]:
        return self._registered.backends

    @property
    def missing_backends(self) -> dict[str, str]:
        """Backends that are left out, with the reason."""
        return self._registered.missing

    def facts(self) -> Facts:
        found = facts_of(self._state, self._index, self._uuid, self._name, torch.cuda.mem_get_info)
        return replace(found, missing=tuple(self.missing_backends))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The GPU to this process alone: what it enqueued meanwhile has ended when the next one's turn begins."""
        with self._turn:
            yield
            torch.cuda.current_stream().synchronize()

    def operands(self, task: Task) -> Operands:
        """New operands; what was kept for the last task is let go."""
        self._ready = self._kernels = self._reference = None
        self._player.renew()
        if torch.cuda.memory_reserved() - torch.cuda.memory_allocated() > _MOST_CACHED * self._memory_bytes:
            torch.cuda.empty_cache()  # libraries that allocate for themselves cannot use it
        return TorchOperands(task, "cuda")

    def check(self, program: Program, task: Task, operands: Operands) -> Check:
        """Run once and compare with the reference, which the first check of a task computes.

        Raises:
            UnsupportedError: there is no reference for this chain.
        """
        if self._reference is None or self._reference[0] is not operands:
            assert isinstance(operands, TorchOperands)
            self._reference = operands, Reference(task.chain, operands.sources, task.dtype)
        program.launch()
        check = self._reference[1].check(program.outputs())
        self._ready = program
        return check

    def time(
        self,
        program: Program,
        l2: str,
        *,
        precise: bool,
        hopeless_us: float = math.inf,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Reading:
        """At least ten samples; an implementation's kernels are listed once."""
        if self._ready is not program:
            with turn():
                program.launch()  # libraries load their kernels in the first run
            self._ready = program
        if self._kernels is None or self._kernels[0] is not program:
            self._kernels = program, self._listed(program)
        reading = self._watch.read(
            program.launch, l2, precise=precise, nothing=self._nothing, hopeless_us=hopeless_us, turn=turn
        )
        return replace(reading, kernels=self._kernels[1])

    def failure(self, error: BaseException) -> Failure:
        return failure_of(error, alive=_alive, free_bytes=_free_bytes)

    def _listed(self, program: Program) -> tuple[Kernel, ...]:
        """The kernels of one launch; none where the driver does not show them, which costs no time its row."""
        graph = self._player.capture(program.launch)
        try:
            return kernels_of(graph)
        except (ImportError, GpuError):
            return ()

    def _flush(self) -> None:
        torch.sum(self._flushed, dim=0, out=self._sink)

    def _nothing(self) -> None:
        self._sink.zero_()


def _alive() -> bool:
    """Whether the context still answers: after a sticky error every call fails, this one included."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def _free_bytes() -> int | None:
    try:
        free: Any = torch.cuda.mem_get_info()[0]
    except RuntimeError:
        return None
    return int(free)
