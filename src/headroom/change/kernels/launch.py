"""Kernels of our own on the GPU that tensors are on. Only code that already uses CUDA imports it; it loads PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headroom.errors import GpuError
from headroom.measure.kernels.compile import compile_text

#: Dynamic shared memory that a kernel has without asking.
_UNASKED_BYTES = 48 * 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """A launch: CTAs along three dimensions, threads of a CTA, its dynamic shared memory."""

    grid: tuple[int, int, int]
    threads: int
    shared_bytes: int = 0


def enqueue(kernel: Any, device: torch.device, shape: Shape, *arguments: Any) -> None:
    """Launch a :func:`loaded` kernel on PyTorch's current stream of ``device``; allocates nothing, waits for nothing.

    Args:
        arguments: tensors as their addresses, ``None`` as a null pointer, whole numbers as 32 bits, others as they are.
    """
    from cuda.core import LaunchConfig, launch

    config = LaunchConfig(grid=shape.grid, block=shape.threads, shmem_size=shape.shared_bytes)
    # A launch goes to the current device's context, which on a machine of several GPUs may be another's.
    with torch.cuda.device(device):
        launch(_stream(torch.cuda.current_stream(device).cuda_stream), config, kernel, *map(_passed, arguments))


@cache
def loaded(
    folders: tuple[Path, ...],
    file: str,
    name: str,
    gpu: int,
    shared_bytes: int = 0,
    macros: tuple[tuple[str, str], ...] = (),
) -> Any:
    """The kernel of that name expression, compiled for GPU ``gpu`` and loaded there, once per process.

    Must not happen for the first time while a CUDA graph is captured: run a layer once before.

    Args:
        folders: ``file`` is in the first, ``#include`` looks in all.
        shared_bytes: the dynamic shared memory that launches will ask for.
        macros: names and what they stand for in ``file``.

    Raises:
        GpuError: cuda-core or NVRTC is missing, it does not compile, or the GPU has less shared memory.
    """
    major, minor = torch.cuda.get_device_capability(gpu)
    text = (folders[0] / file).read_text("utf-8")
    code = compile_text(text, file, f"sm_{major}{minor}", folders=folders, macros=macros, names=(name,))
    from cuda.core import Device

    torch.zeros(1, device=torch.device("cuda", gpu))  # makes the context that cuda-core then finds
    device = Device(gpu)
    device.set_current()
    kernel = code.get_kernel(name)
    if shared_bytes > _UNASKED_BYTES:
        _allow_shared(kernel, device, shared_bytes, name)
    return kernel


@cache
def sms(device: torch.device) -> int:
    """The GPU's streaming multiprocessors."""
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _allow_shared(kernel: Any, device: Any, wanted_bytes: int, name: str) -> None:
    from cuda.bindings import driver

    attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    (status,) = driver.cuKernelSetAttribute(attribute, wanted_bytes, kernel.handle, device.device_id)
    if status != driver.CUresult.CUDA_SUCCESS:
        kib = wanted_bytes // 1024
        raise GpuError(
            f"kernel {name} needs {kib} KiB of shared memory, which this GPU refuses ({status.name}); skip it"
        )


@cache
def _stream(handle: int) -> Any:
    from cuda.core import LEGACY_DEFAULT_STREAM, Stream

    return LEGACY_DEFAULT_STREAM if handle == 0 else Stream.from_handle(handle)


def _passed(argument: Any) -> Any:
    if argument is None:
        return np.uint64(0)
    if torch.is_tensor(argument):
        return argument.data_ptr()
    return np.int32(argument) if type(argument) is int else argument
