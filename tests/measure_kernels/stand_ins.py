"""A GPU's kernels and a stopwatch with known errors, for the test of the stopwatch's own test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headroom.measure import selftest
from headroom.measure.bench import Check, Facts, Reading
from headroom.measure.fake import Script, fake_facts
from headroom.measure.kernels.programs import Told
from headroom.measure.trust import SelfTest

CLOCK_MHZ = 1980.0


@dataclass
class SpinStandIn:
    clocks: int
    workspace_bytes: int = 0

    def launch(self) -> None: ...

    def outputs(self) -> Sequence[Any]:
        return ()

    def forget(self) -> None: ...

    def told(self) -> Told:
        return Told(10, self.clocks / CLOCK_MHZ, self.clocks)


@dataclass
class ReadStandIn:
    footprint_bytes: int
    workspace_bytes: int = 0

    def launch(self) -> None: ...

    def outputs(self) -> Sequence[Any]:
        return ()

    def read_everything(self) -> bool:
        return True


class KernelStandIns:
    l2_bytes = 60 << 20

    def spin(self, clocks: int) -> SpinStandIn:
        return SpinStandIn(clocks)

    def read(self, footprint_bytes: int) -> ReadStandIn:
        return ReadStandIn(footprint_bytes)


class OperandStandIns:
    def tensor(self, name: str, layout: str = "") -> Any:
        import torch

        return torch.randn(16, 64, generator=torch.Generator().manual_seed(1))


@dataclass
class BenchStandIn:
    """A stopwatch whose error is known: it reads ``factor`` times the truth plus ``offset_us``."""

    factor: float = 1.0
    offset_us: float = 1.5
    cold_factor: float = 2.0
    clock_mhz: float = CLOCK_MHZ
    checks: bool = True
    said: list[str] = field(default_factory=list)

    def facts(self) -> Facts:
        return fake_facts(Script())

    def time(self, program: Any, l2: str, *, precise: bool) -> Reading:
        if isinstance(program, SpinStandIn):
            true_us = program.told().time_us
        else:
            true_us = 4.0 * (self.cold_factor if l2 == "cold" else 1.0)
        read_us = true_us * self.factor + self.offset_us
        return Reading((read_us,) * 10, (self.clock_mhz,) * 10, 3201.0, 0, 0)

    def operands(self, task: Any) -> OperandStandIns:
        return OperandStandIns()

    def check(self, program: Any, task: Any, operands: OperandStandIns) -> Check:
        program.launch()
        reference = operands.tensor("t0").clamp(min=0)
        error = float((program.outputs()[0] - reference).norm() / reference.norm())
        return Check(error if self.checks else 0.0, tolerance=1e-5)

    def run(self) -> SelfTest:
        return selftest.selftest(self, KernelStandIns(), lambda seen: self.said.append(seen["step"]))
