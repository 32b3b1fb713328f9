"""Kernels run on the CPU as they would on a GPU, and what a GPU leaves unsaid is said."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from cuda_on_cpu.program import KernelError, bf16_bits, cpu_program, from_bf16, needs_compiler, tf32

pytestmark = needs_compiler

KERNELS = Path(__file__).parent / "tiny.cu"
ENTRIES = (
    *("reverse<64>", "reverse_unguarded", "warp_sums", "lanes_ask", "half_waits", "past_the_end", "misaligned"),
    *("staged<false>", "staged<true>", "multiply_bf16", "multiply_fp16", "multiply_tf32", "transposes", "takes_all"),
    *("writes", "rounds_trip", "counts"),
)


def launch(entry: str, grid: int, block: int, *arguments: object, **options: object) -> None:
    cpu_program(KERNELS, ENTRIES).launch(entry, (grid,), (block,), *arguments, **options)


@pytest.mark.parametrize("backwards", [False, True])
def test_threads_meet_at_barriers_and_ctas_follow_each_other(backwards: bool) -> None:
    numbers = np.arange(192, dtype=np.int32)
    found = np.zeros_like(numbers)
    launch("reverse<64>", 3, 64, numbers, found, shared_bytes=256, backwards=backwards)
    assert np.array_equal(found.reshape(3, 64), numbers.reshape(3, 64)[:, ::-1])


def test_a_missing_barrier_shows_as_rubbish() -> None:
    numbers, found = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    launch("reverse_unguarded", 1, 64, numbers, found, shared_bytes=256)
    assert not np.array_equal(found, numbers[::-1])


def test_shuffles_and_votes_reach_the_lanes_that_ptx_names() -> None:
    numbers = np.random.default_rng(0).standard_normal(96).astype(np.float32)
    sums = np.zeros(96, np.float32)
    launch("warp_sums", 1, 96, numbers, sums)
    assert np.allclose(sums.reshape(3, 32), numbers.reshape(3, 32).sum(1, keepdims=True), atol=1e-5)
    asked = np.zeros((5, 32), np.int32)
    launch("lanes_ask", 1, 32, asked)
    lanes = np.arange(32)
    assert np.array_equal(asked[0], np.where(lanes >= 3, lanes - 3, lanes))
    assert np.array_equal(asked[1], np.where(lanes % 8 + 2 < 8, lanes + 2, lanes))
    assert np.array_equal(asked[2], lanes // 16 * 16 + 5)
    assert set(asked[3].view(np.uint32)) == {0x49249249}
    assert np.array_equal(asked[4], np.where(lanes < 8, lanes ^ 1, -1)), "eight lanes met alone, before others"


def test_a_barrier_that_some_threads_never_reach_is_an_error_and_no_hang() -> None:
    with pytest.raises(KernelError, match="barrier that others never reach"):
        launch("half_waits", 1, 64)


def test_an_access_past_an_array_names_the_argument_and_the_thread() -> None:
    numbers, found = np.ones(100, np.float32), np.zeros(128, np.float32)
    launch("past_the_end", 1, 128, numbers, found, np.int32(100))
    with pytest.raises(KernelError, match=r"argument 0 of 400 bytes .* thread \(100, 0, 0\) of CTA \(0, 0, 0\)"):
        launch("past_the_end", 1, 128, numbers, found, np.int32(128))


def test_a_failed_launch_leaves_the_next_one_alone() -> None:
    for _ in range(3):
        with pytest.raises(KernelError):
            launch("past_the_end", 1, 128, np.ones(100, np.float32), np.zeros(128, np.float32), np.int32(128))
        test_threads_meet_at_barriers_and_ctas_follow_each_other(False)


def test_a_misaligned_vector_load_is_refused() -> None:
    numbers, found = np.arange(16, dtype=np.float32), np.zeros(4, np.float32)
    launch("misaligned", 1, 1, numbers, found, np.int32(4))
    assert np.array_equal(found, numbers[4:8])
    with pytest.raises(KernelError, match="misaligned"):
        launch("misaligned", 1, 1, numbers, found, np.int32(3))


def test_a_constant_array_cannot_be_written_nor_the_bytes_beside_one() -> None:
    numbers = np.zeros(6, np.uint8)
    launch("writes", 1, 1, numbers, np.int32(5))
    assert numbers.tolist() == [0, 0, 0, 0, 0, 1]
    for place in (-1, 6):
        with pytest.raises(KernelError, match="just outside argument 0"):
            launch("writes", 1, 1, numbers, np.int32(place))
    numbers.flags.writeable = False
    with pytest.raises(KernelError, match="argument 0 of 6 bytes"):
        launch("writes", 1, 1, numbers, np.int32(0))


def test_what_is_read_before_its_copy_has_arrived_is_rubbish() -> None:
    numbers, found = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    launch("staged<true>", 1, 16, numbers, found, shared_bytes=256)
    assert np.array_equal(found, np.where(np.arange(64) < 60, numbers, 0)), "the last copy was told to fill with zeros"
    launch("staged<false>", 1, 16, numbers, found, shared_bytes=256)
    assert np.isnan(found).any()


@pytest.mark.parametrize(("entry", "depth"), [("multiply_bf16", 16), ("multiply_fp16", 16), ("multiply_tf32", 8)])
def test_tensor_core_products_have_the_layout_of_the_isa(entry: str, depth: int) -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal((16, depth)), random.standard_normal((depth, 8))
    c = random.standard_normal((16, 8)).astype(np.float32)
    if entry == "multiply_bf16":
        passed, held = (bf16_bits(a), bf16_bits(b)), (from_bf16(bf16_bits(a)), from_bf16(bf16_bits(b)))
    elif entry == "multiply_fp16":
        passed = held = (a.astype(np.float16), b.astype(np.float16))
    else:
        passed, held = (a.astype(np.float32), b.astype(np.float32)), (tf32(a), tf32(b))
    expected = c + held[0].astype(np.float64) @ held[1].astype(np.float64)
    launch(entry, 1, 32, *passed, c)
    assert np.abs(c - expected).max() < 1e-6


def test_matrices_load_as_they_lie_and_transposed() -> None:
    matrices = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8)
    found = np.zeros((2, 4, 32, 2), np.uint16)
    launch("transposes", 1, 32, matrices, found)
    assert np.array_equal(found[0].reshape(4, 8, 8), matrices)
    assert np.array_equal(found[1].reshape(4, 8, 8), matrices.swapaxes(1, 2))


def test_packing_rounds_to_the_nearest_even_number_of_the_format() -> None:
    random = np.random.default_rng(2)
    edges = [0, -0.0, 1e-8, -3e-8, 6e-5, 65504, 65519, 65520, -1e9, np.inf, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-11, 2e-38]
    numbers = np.concatenate([np.array(edges), random.standard_normal(114) * 10.0 ** random.integers(-9, 5, 114)])
    numbers = numbers.astype(np.float32)
    half, brain = np.zeros(128, np.float32), np.zeros(128, np.float32)
    launch("rounds_trip", 1, 64, numbers, half, brain)
    with np.errstate(over="ignore"):
        assert np.array_equal(half, numbers.astype(np.float16).astype(np.float32))
    assert np.array_equal(brain, from_bf16(bf16_bits(numbers)))


class Pair(ctypes.Structure):
    _fields_ = (("first", ctypes.c_int), ("second", ctypes.c_float))


def test_values_structures_and_null_pointers_arrive() -> None:
    found = np.zeros(3, np.float32)
    launch("takes_all", 1, 1, Pair(3, 0.5), np.float32(2), None, found)
    assert found.tolist() == [3, 0.5, 2]
    with pytest.raises(KernelError, match="parameter 1 is a value of 4 bytes"):
        launch("takes_all", 1, 1, Pair(3, 0.5), np.float64(2), None, found)
    with pytest.raises(KernelError, match="another number of parameters"):
        launch("takes_all", 1, 1, found)


def test_grids_and_blocks_have_three_dimensions() -> None:
    found = np.zeros((2, 3, 4, 2, 3, 5), np.int32)
    cpu_program(KERNELS, ENTRIES).launch("counts", (4, 3, 2), (5, 3, 2), found)
    assert np.array_equal(found, np.ones_like(found))


def test_what_the_compiler_refuses_is_quoted() -> None:
    with pytest.raises(KernelError, match="unknown_name"):
        cpu_program("__global__ void broken() { unknown_name(); }", ("broken",))
