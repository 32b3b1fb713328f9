"""The system that this process measures on: GPU, driver and libraries, in the words that rows use."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata

from headroom.measure.bench import Facts
from headroom.measure.cuda.gpu_state import NvmlState
from headroom.store.rows import System


def system_of(gpu_name: str, driver: str) -> System:
    """The system of a GPU by its name and driver, with the libraries that are installed.

    Versions come from the installed packages, so that a process that loads none of them finds the same system.
    """
    torch = _installed("torch")
    cuda = _three(_installed("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12"))
    return System(
        gpu=gpu_name,
        driver=driver,
        cuda=_cuda_of_torch(torch) or ".".join(cuda.split(".")[:2]),
        cudnn=_three(_installed("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cudnn")),
        cublas=_three(_installed("nvidia-cublas", "nvidia-cublas-cu13", "nvidia-cublas-cu12")),
        torch=torch.partition("+")[0],
    )


def facts_of(state: NvmlState, gpu_index: int, uuid: str, name: str, memory: Callable[[], tuple[int, int]]) -> Facts:
    """What the worker tells its parent. ``memory`` gives free and total bytes."""
    free, total = memory()
    system = system_of(state.name() or name, state.driver_version())
    return Facts(system, uuid, gpu_index, total, free, state.max_sm_clock_mhz())


def _installed(*packages: str) -> str:
    """The version of the first of these packages that is there, or ``""``."""
    for package in packages:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _three(version: str) -> str:
    """``9.19.0`` of ``9.19.0.56``: wheels count their own builds behind the library's version."""
    return ".".join(version.split(".")[:3])


def _cuda_of_torch(version: str) -> str:
    """``13.0`` of ``2.11.0+cu130``."""
    match = re.search(r"\+cu(\d+)(\d)$", version)
    return f"{match[1]}.{match[2]}" if match else ""
