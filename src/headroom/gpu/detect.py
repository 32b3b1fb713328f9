"""Which GPU this machine has, asked of NVIDIA's management library.

The library's Python binding (``nvidia-ml-py``, imported as ``pynvml``) is optional. It talks to the driver alone: no
CUDA context is made, so the parent process may ask.
"""

from __future__ import annotations

import importlib
from typing import Any

from headroom.errors import GpuError
from headroom.gpu.sheets import gpu_of_driver
from headroom.gpu.spec import GpuSpec
from headroom.text import plain_line

_NAME_ONE = "name one with --gpu (headroom gpus list shows them)"


def detect_gpu(index: int = 0, *, nvml: Any = None) -> GpuSpec:
    """The sheet of this machine's GPU ``index``, in the driver's order.

    Args:
        nvml: the management library, or an object with its functions; by default ``pynvml``, if installed.

    Raises:
        GpuError: the library is absent, the driver does not answer, there is no such GPU, or no sheet has its name.
    """
    name = _driver_name(nvml if nvml is not None else _nvml(), index)
    spec = gpu_of_driver(name)
    if spec is None:
        found = plain_line(name)
        raise GpuError(f"this machine's GPU is '{found}', for which there is no sheet; {_NAME_ONE} or write one")
    return spec


def _nvml() -> Any:
    try:
        return importlib.import_module("pynvml")
    except ImportError as error:
        raise GpuError(
            "no GPU was named and this machine's cannot be asked for (no nvidia-ml-py; pip install 'headroom[gpu]'); "
            f"{_NAME_ONE}"
        ) from error


def _driver_name(nvml: Any, index: int) -> str:
    """The driver's name of one GPU; the library is shut down again whatever happens."""
    try:
        nvml.nvmlInit()
        try:
            count = nvml.nvmlDeviceGetCount()
            if index >= count:
                raise GpuError(f"no GPU {index}: the driver reports {count}; {_NAME_ONE}")
            name = nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(index))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise GpuError(f"NVIDIA's driver did not answer ({plain_line(str(error))}); {_NAME_ONE}") from error
    # Bindings before 11.5 answer with bytes.
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
