"""The GPU's clocks and what holds them back, as NVML tells them while kernels run."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol


class GpuState(Protocol):
    """What the stopwatch asks between enqueuing work and waiting for it. ``None``: the driver does not tell."""

    def sm_clock_mhz(self) -> float | None: ...

    def memory_clock_mhz(self) -> float | None: ...

    def clock_events(self) -> int | None: ...


class NvmlState:
    """One GPU by its UUID. A clock takes 0.2 ms to read, the events 0.1 ms."""

    def __init__(self, uuid: str, nvml: Any = None) -> None:
        """Without the binding or the driver's answer every question is answered by ``None``."""
        self._nvml: Any = None
        with suppress(Exception):  # each of its errors has a class of its own, none of which is worth a measurement
            nvml = nvml if nvml is not None else import_module("pynvml")
            nvml.nvmlInit()
            self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
            self._nvml = nvml

    def sm_clock_mhz(self) -> float | None:
        return self._clock("NVML_CLOCK_SM")

    def memory_clock_mhz(self) -> float | None:
        return self._clock("NVML_CLOCK_MEM")

    def clock_events(self) -> int | None:
        """The raw mask: bits that this release does not know are kept."""
        if self._nvml is None:
            return None
        # The function was renamed; bindings and drivers may know only one of its names.
        for name in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
            with suppress(AttributeError, self._nvml.NVMLError):
                return int(getattr(self._nvml, name)(self._handle))
        return None

    def max_sm_clock_mhz(self) -> float | None:
        if self._nvml is None:
            return None
        with suppress(self._nvml.NVMLError):
            return float(self._nvml.nvmlDeviceGetMaxClockInfo(self._handle, self._nvml.NVML_CLOCK_SM))
        return None

    def driver_version(self) -> str:
        return _text(self._nvml.nvmlSystemGetDriverVersion()) if self._nvml is not None else ""

    def name(self) -> str:
        return _text(self._nvml.nvmlDeviceGetName(self._handle)) if self._nvml is not None else ""

    def _clock(self, kind: str) -> float | None:
        if self._nvml is None:
            return None
        with suppress(self._nvml.NVMLError):
            return float(self._nvml.nvmlDeviceGetClockInfo(self._handle, getattr(self._nvml, kind)))
        return None


def _text(value: Any) -> str:
    # Bindings before 11.5 answer with bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
