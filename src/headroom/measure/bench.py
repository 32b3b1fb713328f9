"""What the worker measures with: the contracts between the loop over implementations and whatever runs them.

The loop (:mod:`headroom.measure.layer`) knows no GPU. A :class:`Bench` is one: the real one
(:mod:`headroom.measure.cuda.bench`) or a fake that fails on command (:mod:`headroom.measure.fake`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from headroom.measure.task import Task
from headroom.store.rows import Implementation, Kernel, Status, System


class UnsupportedError(Exception):
    """An implementation does not do what is asked of it; the text says why. It costs this implementation alone."""


class HopelessError(Exception):
    """An implementation is so much slower than another that its samples are not worth their time."""


class Program(Protocol):
    """An implementation, built and ready: operands, workspace and output are allocated."""

    @property
    def workspace_bytes(self) -> int: ...

    def launch(self) -> None:
        """Enqueue one run on the current stream. Must be capturable in a CUDA graph: no allocation, no waiting."""

    def outputs(self) -> Sequence[Any]:
        """What the last launch wrote: tensors of the chain's outputs in their logical (NCHW) shape."""


class Candidate(Protocol):
    """An implementation that has not been built yet."""

    @property
    def implementation(self) -> Implementation: ...

    def build(self) -> Program:
        """Compile and allocate.

        Raises:
            UnsupportedError: the library declines.
        """


class Backend(Protocol):
    """A library. Adding one means adding a file with an object of this shape and a line in the registry."""

    @property
    def name(self) -> str: ...

    def candidates(self, task: Task, operands: Operands) -> Iterable[Candidate]:
        """The ways this library may run ``task``, the one it would choose itself first; none if it cannot."""


@runtime_checkable
class Replaying(Protocol):
    """A backend whose names are enough to make an implementation again, without going through all that it offers."""

    def candidate(self, task: Task, operands: Operands, implementation: Implementation) -> Candidate:
        """The implementation of that name and layout.

        Raises:
            UnsupportedError: this version of the library has none such.
        """


class Operands(Protocol):
    """The tensors of a chain: random, never zeros, the same values whatever their layout."""

    def tensor(self, name: str, layout: str = "") -> Any:
        """Input or weight ``name`` of the chain in its logical shape, in memory in order ``layout``."""

    def empty(self, name: str, layout: str = "") -> Any:
        """A new tensor for output ``name``, filled with NaN so that what is not written is seen."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the stopwatch saw: one entry per sample in ``samples_us`` and ``sm_clocks_mhz``, times per launch."""

    samples_us: tuple[float, ...]
    sm_clocks_mhz: tuple[float, ...]
    memory_clock_mhz: float | None
    mask_before: int | None
    mask_after: int | None
    kernels: tuple[Kernel, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """How far an implementation's output is from the reference, and how far it may be."""

    relative_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.relative_error <= self.tolerance  # NaN never passes


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as a row tells it. ``poisoned``: the process can time nothing more and has to be replaced."""

    status: Status
    reason: str
    poisoned: bool = False
    needed_bytes: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The GPU and its libraries, as the worker finds them; ``missing`` are the backends that it has to do without."""

    system: System
    gpu_uuid: str
    gpu_index: int
    memory_bytes: int
    free_bytes: int
    max_sm_clock_mhz: float | None = None
    missing: tuple[str, ...] = ()


class Bench(Protocol):
    """A GPU with everything needed to run a chain on it."""

    @property
    def backends(self) -> Sequence[Backend]: ...

    @property
    def missing_backends(self) -> Mapping[str, str]:
        """Libraries that this machine lacks, each with the reason, which every layer's rows repeat."""

    def facts(self) -> Facts: ...

    def turn(self) -> AbstractContextManager[object]:
        """The GPU to this process alone, for as long as it runs something; others compile meanwhile."""

    def operands(self, task: Task) -> Operands: ...

    def check(self, program: Program, task: Task, operands: Operands) -> Check:
        """Run once and compare with a reference in fp64 or strict fp32."""

    def time(
        self,
        program: Program,
        l2: str,
        *,
        precise: bool,
        hopeless_us: float = float("inf"),
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Reading:
        """At least ten samples. ``precise`` spends more time on each, for the few implementations that count.

        ``turn`` is taken around whatever runs on the GPU; recording graphs needs none.

        Raises:
            HopelessError: the first launches took longer than ``hopeless_us`` each, and ten samples would take long.
        """

    def failure(self, error: BaseException) -> Failure:
        """What an exception means."""
