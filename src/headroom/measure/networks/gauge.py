"""What NVML tells while a network runs: clocks, what holds them down, energy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Gauge(Protocol):
    """Each reading is ``None`` where the driver does not tell it."""

    def sm_clock_mhz(self) -> float | None: ...

    def memory_clock_mhz(self) -> float | None: ...

    def throttle_mask(self) -> int | None:
        """NVML's raw clock-event mask."""

    def energy_mj(self) -> float | None:
        """Millijoules that the whole board has used since the driver was loaded."""

    def max_sm_clock_mhz(self) -> float | None:
        """The clock that this GPU may run at."""

    @property
    def gpu_uuid(self) -> str: ...


class NvmlGauge:
    """The gauge of one GPU, by the UUID that the driver gives it (``GPU-…``)."""

    def __init__(self, gpu_uuid: str) -> None:
        import pynvml

        self._nvml = pynvml
        pynvml.nvmlInit()
        self._gpu = pynvml.nvmlDeviceGetHandleByUUID(gpu_uuid)
        self.gpu_uuid = gpu_uuid

    def sm_clock_mhz(self) -> float | None:
        return self._read(self._nvml.nvmlDeviceGetClockInfo, self._nvml.NVML_CLOCK_SM)

    def memory_clock_mhz(self) -> float | None:
        return self._read(self._nvml.nvmlDeviceGetClockInfo, self._nvml.NVML_CLOCK_MEM)

    def throttle_mask(self) -> int | None:
        mask = self._read(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return None if mask is None else int(mask)

    def energy_mj(self) -> float | None:
        return self._read(self._nvml.nvmlDeviceGetTotalEnergyConsumption)

    def max_sm_clock_mhz(self) -> float | None:
        return self._read(self._nvml.nvmlDeviceGetMaxClockInfo, self._nvml.NVML_CLOCK_SM)

    def _read(self, query: Callable[..., Any], *arguments: Any) -> float | None:
        try:
            return float(query(self._gpu, *arguments))
        except self._nvml.NVMLError:
            return None


class NoGauge:
    """Where there is no NVML: nothing is known."""

    gpu_uuid = ""

    def sm_clock_mhz(self) -> float | None:
        return None

    def memory_clock_mhz(self) -> float | None:
        return None

    def throttle_mask(self) -> int | None:
        return None

    def energy_mj(self) -> float | None:
        return None

    def max_sm_clock_mhz(self) -> float | None:
        return None


def gauge_of_gpu(index: int) -> Gauge:
    """The gauge of PyTorch's GPU ``index``; one that knows nothing where NVML is missing or refuses."""
    try:
        import pynvml
        import torch
    except ImportError:
        return NoGauge()
    try:
        return NvmlGauge(f"GPU-{torch.cuda.get_device_properties(index).uuid}")
    except pynvml.NVMLError:
        return NoGauge()
