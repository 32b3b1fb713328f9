"""A GPU that is not there: times from the theory, and failures on command (:mod:`headroom.measure.fake_script`)."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from headroom.errors import GpuError
from headroom.gpu.sheets import load_gpu
from headroom.measure.bench import Backend, Check, Facts, Failure, Operands, Program, Reading, UnsupportedError
from headroom.measure.fake_script import CLOCK_MHZ, GIB, Script, fake_facts
from headroom.measure.task import Task
from headroom.measure.turn import Turn
from headroom.predict.model import predict_layers
from headroom.store.rows import Implementation, Kernel, Status

#: The sheet that its times come from.
SHEET = "h200"

_SAMPLES = 20


class FakeOutOfMemoryError(Exception):
    """More was asked for than there is."""


class FakePoisonError(Exception):
    """An illegal address was written: the context is lost."""


@dataclass
class FakeProgram:
    """An implementation that takes ``time_us`` and fails as ``fault`` says."""

    time_us: dict[str, float]
    fault: str
    workspace_bytes: int = 4096

    def launch(self) -> None:
        _die(self.fault)
        if self.fault == "run":
            raise RuntimeError("the kernel returned an error")
        if self.fault == "poison":
            raise FakePoisonError("an illegal memory access was encountered")

    def outputs(self) -> Sequence[Any]:
        return ()


@dataclass(frozen=True)
class FakeCandidate:
    implementation: Implementation
    time_us: dict[str, float]
    fault: str
    build_s: float = 0.0

    def build(self) -> Program:
        time.sleep(self.build_s)
        match self.fault:
            case "build":
                raise RuntimeError("the library could not compile it")
            case "unsupported":
                raise UnsupportedError("the library declines this shape")
            case "oom":
                raise FakeOutOfMemoryError("out of memory")
        return FakeProgram(self.time_us, self.fault)


@dataclass(frozen=True)
class FakeBackend:
    """A library whose first implementation is the one it would choose, and not the fastest."""

    script: Script
    name: str = "fake"

    def candidates(self, task: Task, operands: Operands) -> Iterator[FakeCandidate]:
        theory = {l2: _theory_us(task, l2) for l2 in task.l2_states}
        layouts = task.layouts if task.chain.anchor.work.gemm and len(task.chain.inputs[0].shape) == 4 else ("",)
        count = min(2, self.script.plans) if task.plans == "heuristic" else self.script.plans
        for layout in layouts:
            for plan in range(count):
                # Plan 1 is the fastest; in the second layout all are a little slower.
                factor = 1.0 + 0.04 * ((plan - 1) % self.script.plans) + 0.3 * layouts.index(layout)
                times = {l2: round(factor * time_us, 4) for l2, time_us in theory.items()}
                implementation = Implementation(self.name, f"plan{plan}", layout)
                yield FakeCandidate(implementation, times, self.script.fault(task, plan), self.script.build_s)


class FakeOperands:
    """Tensors that are not there."""

    def tensor(self, name: str, layout: str = "") -> Any:
        return None

    def empty(self, name: str, layout: str = "") -> Any:
        return None


@dataclass
class FakeBench:
    """The bench of a GPU that is not there."""

    script: Script = field(default_factory=Script)
    gpu_index: int = 0

    def __post_init__(self) -> None:
        time.sleep(self.script.start_s)
        match self.script.start_of(self.gpu_index):
            case "refuse":
                raise GpuError(f"there is no GPU {self.gpu_index}; headroom gpus list shows the known ones")
            case "exit" | "hang" as how:
                _die(how)

    @cached_property
    def backends(self) -> Sequence[Backend]:
        return (FakeBackend(self.script),)

    @property
    def missing_backends(self) -> Mapping[str, str]:
        return self.script.missing

    def facts(self) -> Facts:
        return fake_facts(self.script, self.gpu_index)

    def turn(self) -> AbstractContextManager[object]:
        return Turn(self.facts().gpu_uuid, self.script.turns) if self.script.turns else nullcontext()

    def operands(self, task: Task) -> Operands:
        fault = self.script.fault(task, None)
        _die(fault)
        if fault == "oom":
            raise FakeOutOfMemoryError("out of memory")
        if fault == "run":
            raise RuntimeError("the operands could not be filled")
        return FakeOperands()

    def check(self, program: Program, task: Task, operands: Operands) -> Check:
        program.launch()
        assert isinstance(program, FakeProgram)
        error = {"wrong": 0.5, "nan": float("nan")}.get(program.fault, 1e-4)
        return Check(error, tolerance=1e-2)

    def time(
        self,
        program: Program,
        l2: str,
        *,
        precise: bool,
        hopeless_us: float = math.inf,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Reading:
        assert isinstance(program, FakeProgram)
        with turn():
            time.sleep(self.script.plan_s)
        time_us, fault = program.time_us[l2], program.fault
        spread = 0.5 if fault == "unstable" else 0.002 if precise else 0.02
        samples = tuple(time_us * (1 + spread * (2 * i / (_SAMPLES - 1) - 1)) for i in range(_SAMPLES))
        clocks = tuple(CLOCK_MHZ * (0.7 if fault == "throttled" and i % 4 == 0 else 1.0) for i in range(_SAMPLES))
        mask = {"throttled": 0x20, "unknown-bit": 0x8000}.get(fault, 0)
        kernel = Kernel("fake_gemm_128x128", (132, 1, 1), (256, 1, 1), 168, 49152, (128, 128, 32))
        return Reading(samples, clocks, 3201.0, 0, mask, (kernel,))

    def failure(self, error: BaseException) -> Failure:
        match error:
            case FakeOutOfMemoryError():
                return Failure(Status.OOM, str(error), needed_bytes=200 * GIB, free_bytes=130 * GIB)
            case FakePoisonError():
                return Failure(Status.FAILED, str(error), poisoned=True)
        return Failure(Status.FAILED, f"{type(error).__name__}: {error}")


def _theory_us(task: Task, l2: str) -> float:
    """What the theory says of the chain's first layer, and a little more for each that follows."""
    prediction = predict_layers([task.chain.anchor], load_gpu(SHEET), task.dtype, l2_state=l2)[0]
    return (prediction.time_us or 1.0) * (1 + 0.05 * (len(task.chain.layers) - 1))


def _die(how: str) -> None:
    """The failures that no exception tells of."""
    match how:
        case "abort":
            os.abort()
        case "exit":
            print("fake: the library called exit", file=sys.stderr)  # noqa: T201 - what a library would do
            os._exit(3)
        case "hang":
            time.sleep(1e6)
        case "garbage":
            _write_everywhere(b"\x00\xffthis is no message\n")
        case "flood":
            _write_everywhere(b"x" * (1 << 20), times=64)


def _write_everywhere(junk: bytes, times: int = 1) -> None:
    """What a library does that writes to a descriptor that is not its own."""
    for descriptor in range(3, 64):
        with suppress(OSError):
            for _ in range(times):
                os.write(descriptor, junk)
