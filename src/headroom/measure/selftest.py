"""The stopwatch tests itself, in the worker: kernels that know how long they took, and failures that must be seen.

Two clocks tell a kernel's duration without the stopwatch: the GPU's timer, read by the kernel itself at its start and
end, and the SM clocks that it was told to spin, at the clock rate that was sampled. The reading is held against the
first; the second has to agree with it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise
from headroom.measure.bench import Bench, Program
from headroom.measure.jobs import Json, Say
from headroom.measure.kernels.programs import IllegalProgram, ReadProgram, SpinProgram, Told
from headroom.measure.task import Task
from headroom.measure.trust import Claim, Duration, SelfTest, clock_claim, cold_claim, output_claim, sum_claim

#: Known durations in microseconds, from the shortest layers worth timing to the longest.
DURATIONS_US = (50, 100, 200, 500, 1000, 2000, 5000, 10_000)

#: Clock that spins are cut to where the driver does not tell one; what counts is what they say afterwards.
_USUAL_CLOCK_MHZ = 1500.0

#: How long the GPU spins first, so that no reading catches its clock on the way up from idling.
_WARM_UP_US = 200_000

#: Values of the layer whose output is checked, and the factor that makes one of them wrong.
_SHAPE = (16, 64)
_WRONG_FACTOR = 1.5


class Spin(Program, Protocol):
    """A program that is busy for a set number of clocks and says how long that took."""

    def forget(self) -> None: ...

    def told(self) -> Told: ...


class Read(Program, Protocol):
    """A program that reads ``footprint_bytes`` once."""

    @property
    def footprint_bytes(self) -> int: ...

    def read_everything(self) -> bool: ...


class Kernels(Protocol):
    """What the test runs."""

    @property
    def l2_bytes(self) -> int: ...

    def spin(self, clocks: int) -> Spin: ...

    def read(self, footprint_bytes: int) -> Read: ...


class GpuKernels:
    """The real ones, on GPU ``gpu``."""

    def __init__(self, gpu: int) -> None:
        from headroom.measure.kernels.launch import Launcher

        self.launcher = Launcher(gpu)

    @property
    def l2_bytes(self) -> int:
        return int(self.launcher.properties.L2_cache_size)

    def spin(self, clocks: int) -> Spin:
        return SpinProgram(self.launcher, clocks)

    def read(self, footprint_bytes: int) -> Read:
        return ReadProgram(self.launcher, footprint_bytes)


def run(arguments: Json, say: Say) -> Json:
    """Test the stopwatch of GPU ``arguments["gpu"]``: the job ``selftest``."""
    gpu = int(arguments.get("gpu", 0))
    kernels = GpuKernels(gpu)
    return selftest(_bench(gpu), kernels, say).to_json()


def poison(arguments: Json, say: Say) -> Json:
    """Time a kernel that loses the context and tell what the bench makes of it: the job ``poison``.

    It spoils its worker, so it gets one of its own. The answer has ``noticed`` and ``reason``.
    """
    gpu = int(arguments.get("gpu", 0))
    bench = _bench(gpu)
    try:
        bench.time(IllegalProgram(GpuKernels(gpu).launcher), "warm", precise=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, the bench has to know it
        failure = bench.failure(error)
        return {"noticed": failure.poisoned, "reason": failure.reason}
    return {"noticed": False, "reason": "a write to an illegal address went unnoticed"}


def selftest(bench: Bench, kernels: Kernels, say: Say) -> SelfTest:
    """Every reading and claim but the lost context, which has to happen elsewhere."""
    facts = bench.facts()
    durations, clock = _time_spins(bench, kernels, facts.max_sm_clock_mhz or _USUAL_CLOCK_MHZ, say)
    say({"step": "reading through a warm and a cold L2"})
    claims = (clock, *_read_claims(bench, kernels), _output_claim(bench))
    return SelfTest(facts.system.title, durations, claims)


def _time_spins(bench: Bench, kernels: Kernels, clock_mhz: float, say: Say) -> tuple[tuple[Duration, ...], Claim]:
    """A reading per known duration and state of L2; and the claim about clocks, from the longest one."""
    kernels.spin(round(_WARM_UP_US * clock_mhz)).told()
    durations = []
    for target_us in DURATIONS_US:
        say({"step": f"timing a kernel of {target_us} us"})
        spin = kernels.spin(round(target_us * clock_mhz))
        for l2 in ("warm", "cold"):
            spin.forget()
            reading = bench.time(spin, l2, precise=True)
            told = spin.told()
            durations.append(Duration(l2, told.time_us, statistics.median(reading.samples_us)))
    return tuple(durations), clock_claim(reading.sm_clocks_mhz, len(reading.samples_us), told.clock_mhz)


def _read_claims(bench: Bench, kernels: Kernels) -> tuple[Claim, Claim]:
    # A third: some L2s are two halves that each hold a copy of what their SMs read.
    read = kernels.read(kernels.l2_bytes // 3)
    warm, cold = (statistics.median(bench.time(read, l2, precise=True).samples_us) for l2 in ("warm", "cold"))
    return cold_claim(read.footprint_bytes, warm, cold), sum_claim(read.read_everything())


@dataclass
class _Relu:
    """A layer run by PyTorch, with one value of its output spoilt where ``factor`` is not 1."""

    source: Any
    factor: float
    workspace_bytes: int = 0

    def __post_init__(self) -> None:
        self.result = self.source.clone()

    def launch(self) -> None:
        self.result.copy_(self.source.clamp(min=0))
        self.result.view(-1)[self.result.argmax()] *= self.factor

    def outputs(self) -> Sequence[Any]:
        return (self.result,)


def _output_claim(bench: Bench) -> Claim:
    task = Task(_relu_chain(), DataType.FP32, layouts=("",))
    operands = bench.operands(task)
    source = operands.tensor(task.chain.inputs[0].name)
    right, wrong = (bench.check(_Relu(source, factor), task, operands) for factor in (1.0, _WRONG_FACTOR))
    return output_claim(right, wrong)


def _relu_chain() -> Chain:
    source, result = TensorSpec("x", _SHAPE), TensorSpec("y", _SHAPE)
    work = Elementwise("relu", source.elements, activation=True)
    return Chain.of([Layer("relu", "Relu", work, (source,), (), (result,))])


def _bench(gpu: int) -> Bench:
    from headroom.measure.worker import open_bench

    return open_bench(gpu)
