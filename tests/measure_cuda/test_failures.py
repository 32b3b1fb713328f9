"""What an exception of a library means for the row, and for the process."""

from __future__ import annotations

import pytest
import torch

from headroom.measure.bench import Failure, UnsupportedError
from headroom.measure.cuda.failures import failure_of
from headroom.store.rows import Status

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 139.80 GiB of which 3.50 GiB is "
    "free. Including non-PyTorch memory, this process has 136.29 GiB memory in use."
)
ADVICE = (
    "CUDA error: {}\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace "
    "below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1."
)


class cudnnGraphNotSupportedError(RuntimeError):  # noqa: N801 - the library's name
    pass


def meaning(error: BaseException, *, alive: bool = True) -> Failure:
    return failure_of(error, alive=lambda: alive, free_bytes=lambda: 42)


def test_a_layer_that_does_not_fit_tells_needed_and_free_bytes() -> None:
    failure = meaning(torch.OutOfMemoryError(OUT_OF_MEMORY))
    assert failure.status is Status.OOM
    assert (failure.needed_bytes, failure.free_bytes) == (20 << 30, 7 << 29)
    assert not failure.poisoned


@pytest.mark.parametrize(
    "text", ["cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_a_library_that_runs_out_of_memory_leaves_the_free_bytes_to_the_driver(text: str) -> None:
    failure = meaning(RuntimeError(text))
    assert (failure.status, failure.needed_bytes, failure.free_bytes) == (Status.OOM, None, 42)


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedError("no such layout"),
        NotImplementedError("\"avg_pool3d_out_frame\" not implemented for 'BFloat16'"),
        cudnnGraphNotSupportedError("No valid engine configs"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"),
        RuntimeError("No available kernel. Aborting execution."),
        RuntimeError("Unable to find an engine to execute this computation"),
    ],
)
def test_a_library_that_declines_costs_this_implementation_alone(error: Exception) -> None:
    assert meaning(error) == Failure(Status.UNSUPPORTED, meaning(error).reason)
    assert meaning(error).reason


@pytest.mark.parametrize(
    "text",
    [
        "an illegal memory access was encountered",
        "unspecified launch failure",
        "misaligned address",
        "device-side assert triggered",
        "an illegal instruction was encountered",
        "the launch timed out and was terminated",
        "uncorrectable ECC error encountered",
        "CUDA_ERROR_LAUNCH_FAILED",
    ],
)
def test_an_error_that_costs_the_context_says_so(text: str) -> None:
    failure = meaning(RuntimeError(ADVICE.format(text)), alive=False)
    assert failure.poisoned
    assert failure.status is Status.FAILED
    assert failure.reason == f"RuntimeError: CUDA error: {text}"


def test_the_same_words_about_a_gpu_that_still_answers_cost_nothing_more() -> None:
    assert not meaning(RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), alive=True).poisoned


def test_an_unknown_cuda_error_is_asked_of_the_gpu_and_a_plain_bug_is_not() -> None:
    assert meaning(RuntimeError("CUDA error: something new"), alive=False).poisoned
    assert not meaning(ValueError("shapes differ"), alive=False).poisoned
    assert meaning(ValueError("shapes differ")) == Failure(Status.FAILED, "ValueError: shapes differ")


def test_a_process_whose_allocator_is_stuck_in_a_capture_is_replaced_though_the_gpu_answers() -> None:
    failure = meaning(RuntimeError("beginAllocateToPool: already recording to mempool_id"), alive=True)
    assert (failure.status, failure.poisoned) == (Status.FAILED, True)
