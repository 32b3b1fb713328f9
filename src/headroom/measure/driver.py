"""What NVIDIA's management library tells the parent about a GPU, without touching CUDA."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headroom.errors import GpuError
from headroom.text import plain_line

_INSTALL = "pip install 'headroom[gpu]'"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A process that computes on a GPU."""

    pid: int
    name: str


class Driver:
    """One GPU as NVML shows it. ``nvml`` is ``pynvml``, or an object with its functions."""

    def __init__(self, nvml: Any, handle: Any, gpu: int) -> None:
        self._nvml, self._handle, self.gpu = nvml, handle, gpu

    @property
    def name(self) -> str:
        return _text(self._nvml.nvmlDeviceGetName(self._handle))

    @property
    def uuid(self) -> str:
        return _text(self._nvml.nvmlDeviceGetUUID(self._handle))

    @property
    def version(self) -> str:
        """Of the driver."""
        return _text(self._nvml.nvmlSystemGetDriverVersion())

    @property
    def memory_bytes(self) -> int:
        """Of the whole GPU."""
        return int(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).total)

    @property
    def utilization_pct(self) -> int:
        """Share of the last moments (a second at most) in which a kernel ran; 0 where the driver does not tell."""
        try:
            return int(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
        except self._nvml.NVMLError:
            return 0

    def neighbours(self) -> tuple[Neighbour, ...]:
        """The processes that compute on it now, ours included once it does."""
        pids = [process.pid for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)]
        return tuple(Neighbour(pid, self._name_of(pid)) for pid in pids)

    def _name_of(self, pid: int) -> str:
        try:
            path = _text(self._nvml.nvmlSystemGetProcessName(pid))
        except self._nvml.NVMLError:
            return "unknown"  # another user's, or of another container
        return plain_line(path.rsplit("/", 1)[-1], 40) or "unknown"


@contextmanager
def driver_of(gpu: int, nvml: Any = None) -> Iterator[Driver]:
    """The driver's view of GPU ``gpu``, numbered as CUDA in the worker does.

    Raises:
        GpuError: the library is absent, the driver does not answer, or there is no such GPU.
    """
    nvml = nvml if nvml is not None else _nvml()
    try:
        nvml.nvmlInit()
        try:
            yield Driver(nvml, _handle(nvml, gpu), gpu)
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise GpuError(f"NVIDIA's driver did not answer about GPU {gpu}: {plain_line(str(error))}") from error


def count_gpus(nvml: Any = None) -> int:
    """How many GPUs a process on this machine may use.

    Raises:
        GpuError: the library is absent, or the driver does not answer.
    """
    nvml = nvml if nvml is not None else _nvml()
    try:
        nvml.nvmlInit()
        try:
            return len(_visible()) or int(nvml.nvmlDeviceGetCount())
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise GpuError(f"NVIDIA's driver does not tell how many GPUs there are: {plain_line(str(error))}") from error


def _visible() -> list[str]:
    """The GPUs that the user left us, as CUDA numbers them; empty where all are."""
    return [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]


def _handle(nvml: Any, gpu: int) -> Any:
    """The handle of what CUDA calls ``gpu``: ``CUDA_VISIBLE_DEVICES`` renumbers GPUs for CUDA, not for NVML."""
    visible = _visible()
    count = len(visible) or nvml.nvmlDeviceGetCount()
    if gpu >= count:
        raise GpuError(f"there is no GPU {gpu}: this machine shows {count}; count from 0")
    chosen = visible[gpu] if visible else str(gpu)
    if chosen.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(chosen))
    return nvml.nvmlDeviceGetHandleByUUID(chosen)


def _nvml() -> Any:
    from headroom.measure.fake_driver import FakeNvml
    from headroom.measure.fake_script import script_in_use

    if (script := script_in_use()) is not None:
        return FakeNvml(script)
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise GpuError(f"nvidia-ml-py is missing, without which nobody knows the GPU's state; {_INSTALL}") from error


def _text(value: Any) -> str:
    # Bindings before 11.5 answer with bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
