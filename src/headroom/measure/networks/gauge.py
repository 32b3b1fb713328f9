"""What NVML tells while a network runs: clocks, what holds them down, energy."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from headroom.measure.cuda.gpu_state import GpuState, NvmlState


class Gauge(GpuState, Protocol):
    """Each reading is ``None`` where the driver does not tell it."""

    @property
    def gpu_uuid(self) -> str: ...

    def max_sm_clock_mhz(self) -> float | None:
        """The clock that this GPU may run at."""

    def energy_mj(self) -> float | None:
        """Millijoules that the whole board has used since the driver was loaded."""


class NvmlGauge(NvmlState):
    """The gauge of the GPU with this UUID (``GPU-…``); of no GPU, or without a driver, it tells nothing."""

    def __init__(self, gpu_uuid: str) -> None:
        super().__init__(gpu_uuid)
        self.gpu_uuid = gpu_uuid

    def energy_mj(self) -> float | None:
        if self._nvml is None:
            return None
        with suppress(self._nvml.NVMLError):
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        return None


def gauge_of_gpu(index: int) -> Gauge:
    """The gauge of PyTorch's GPU ``index``."""
    import torch

    return NvmlGauge(f"GPU-{torch.cuda.get_device_properties(index).uuid}")


def no_gauge() -> Gauge:
    """The gauge of the host: it tells nothing."""
    return NvmlGauge("")
