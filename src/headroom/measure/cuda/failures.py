"""What an exception means: which row it makes, and whether this process can go on."""

from __future__ import annotations

import re
from collections.abc import Callable

from headroom.measure.bench import Failure, UnsupportedError
from headroom.store.rows import Status

#: What a CUDA error says after which every further call fails: the context is lost.
_STICKY = re.compile(
    r"illegal (memory access|address|instruction)|CUDA_ERROR_ILLEGAL|misaligned address|CUDA_ERROR_MISALIGNED"
    r"|unspecified launch failure|CUDA_ERROR_LAUNCH_(FAILED|TIMEOUT)|launch timed out|device-side assert"
    r"|CUDA_ERROR_ASSERT|hardware stack error|invalid program counter|invalid address space"
    r"|uncorrectable|ECC_UNCORRECTABLE|nvlink|context is destroyed|CUDA_ERROR_CONTEXT_IS_DESTROYED"
    r"|CUDNN_STATUS_EXECUTION_FAILED|CUBLAS_STATUS_EXECUTION_FAILED",
    re.IGNORECASE,
)
#: What PyTorch's allocator says when a capture broke off and it was never told: no graph can be captured any more.
_STUCK = re.compile(r"already recording to mempool")
_MEMORY = re.compile(r"out of memory|OUT_OF_MEMORY|STATUS_ALLOC_FAILED|not enough memory", re.IGNORECASE)
_DECLINED = re.compile(
    r"not[ _]supported|unsupported|not implemented|no available kernel|no engine|no valid (engine|plan)"
    r"|unable to find an engine|could not find an engine|to be divisible by",
    re.IGNORECASE,
)

#: Names of exceptions that say "not this one", of libraries that are not imported here.
_DECLINING_CLASSES = frozenset({"cudnnGraphNotSupportedError", "NotImplementedError"})

_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = r"([\d.]+) (bytes|KiB|MiB|GiB|TiB)"
_NEEDED = re.compile(rf"allocate {_SIZE}")
_FREE = re.compile(rf"of which {_SIZE} is free")


def failure_of(error: BaseException, *, alive: Callable[[], bool], free_bytes: Callable[[], int | None]) -> Failure:
    """The meaning of ``error``.

    Args:
        alive: whether the GPU still answers; asked after errors that may have cost the context.
        free_bytes: memory that is free now; asked after an allocation failed.
    """
    text = _text(error)
    if isinstance(error, UnsupportedError) or type(error).__name__ in _DECLINING_CLASSES:
        return Failure(Status.UNSUPPORTED, str(error) or type(error).__name__)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _MEMORY.search(text):
        needed, free = _size(_NEEDED, text), _size(_FREE, text)
        return Failure(Status.OOM, text, needed_bytes=needed, free_bytes=free if free is not None else free_bytes())
    if _STUCK.search(text):
        return Failure(Status.FAILED, text, poisoned=True)
    if _STICKY.search(text):
        # Some of these sentences are also said of errors that leave the context alone: the GPU itself knows.
        return Failure(Status.FAILED, text, poisoned=not alive())
    if _DECLINED.search(text):
        return Failure(Status.UNSUPPORTED, text)
    return Failure(Status.FAILED, text, poisoned=_speaks_of_cuda(text) and not alive())


def _speaks_of_cuda(text: str) -> bool:
    return "cuda" in text.lower()


def _text(error: BaseException) -> str:
    """The first sentence with the class in front; PyTorch appends a page of advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    advice = next(
        (i for i, line in enumerate(lines) if line.startswith(("CUDA kernel errors might", "For debugging"))), None
    )
    kept = " ".join(lines[:advice][:3])
    return f"{type(error).__name__}: {kept}" if kept else type(error).__name__


def _size(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return round(float(match[1]) * _UNITS[match[2]]) if match else None
