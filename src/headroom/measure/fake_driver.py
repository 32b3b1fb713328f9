"""What NVML would say of the GPU that is not there. For tests only."""

from __future__ import annotations

from types import SimpleNamespace

from headroom.measure.fake_script import Script, fake_facts


class FakeNvml:
    """What the driver says of the GPU that is not there: the functions of ``pynvml`` that are used."""

    class NVMLError(Exception):
        pass

    def __init__(self, script: Script) -> None:
        self._script = script

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's names, here and below
        pass

    def nvmlShutdown(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._script.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return fake_facts(self._script, handle).system.gpu

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return fake_facts(self._script, handle).gpu_uuid

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return fake_facts(self._script).system.driver

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=fake_facts(self._script, handle).memory_bytes)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=self._script.utilization)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid, _ in self._script.processes]

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        return dict(self._script.processes)[pid]
