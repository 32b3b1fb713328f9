"""The small-batch kernel on the CPU: what it unpacks is the reference's to the bit, what it multiplies is right."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_on_cpu.program import cpu_program, needs_compiler
from headroom.change.fission import FORMATS, format_called
from headroom.change.fission.formats.words import row_words
from headroom.change.fission.kernels.sources import (
    FOLDER,
    FOLDERS,
    LANES,
    WARPS,
    LinearVariant,
    compile_entries,
    struct_of,
    variants,
)
from headroom.measure.kernels.registry import CAPABILITIES

#: One of each kind of format, and shapes of the kernel where formats do not matter.
KINDS = ("half", "deft16", "deft16q", "deft8e4", "deft8e7_paper", "fp8_e4m3", "fp8_e5m2", "int8", "int4_g128")
CHECKED = (
    tuple(LinearVariant(name, "fp32", 2, 1, 1) for name in KINDS)
    + tuple(
        LinearVariant("int8", dtype, rows, batch, split)
        for dtype, rows, batch, split in (("bf16", 1, 2, 8), ("fp32", 4, 4, 2), ("bf16", 2, 8, 1), ("fp32", 1, 1, 8))
    )
    + (LinearVariant("int4_g32", "bf16", 4, 2, 4), LinearVariant("int4_g128", "fp32", 2, 4, 2))
)
UNPACKED = tuple(sorted({f"unpack_rows<{struct_of(name)}>" for name in FORMATS}))


def program():
    return cpu_program(FOLDER / "linear.cu", (*UNPACKED, *(each.entry for each in CHECKED)), folders=FOLDERS)


def bf16(values):
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


@needs_compiler
@pytest.mark.parametrize("name", FORMATS)
def test_the_device_function_unpacks_what_the_reference_does_bit_for_bit(name):
    form = format_called(name)
    random = np.random.default_rng(1)
    rows = (random.standard_normal((5, 300)) * 10.0 ** random.integers(-3, 3, (5, 300))).astype(np.float32)
    packed = form.pack(rows)
    if form.bits == 8:
        # Every code that packing can give, in every place of a word.
        table = form.code.table()
        codes = np.flatnonzero(np.isfinite(table)).astype(np.uint32)
        words = packed.words.copy()
        fours = codes[: len(codes) // 4 * 4].reshape(-1, 4) << np.arange(0, 32, 8, dtype=np.uint32)
        words[:4, : len(fours)] = fours.sum(1, dtype=np.uint32)
        packed = type(packed)(words, packed.count, packed.scales)
    found = np.zeros_like(rows)
    grid = -(-packed.words.size // 128)

    program().launch(
        f"unpack_rows<{struct_of(name)}>", (grid,), (128,), packed.words, packed.scales, found, np.int32(5),
        np.int32(300), np.int32(packed.words.shape[1]), np.int32(form.group_of(300) or 1),
    )  # fmt: skip

    assert np.array_equal(found.view(np.uint32), form.unpack(packed).view(np.uint32))


@needs_compiler
@pytest.mark.parametrize("variant", CHECKED, ids=lambda each: each.entry)
def test_the_kernel_multiplies_packed_weights_like_fp64_whichever_thread_comes_first(variant):
    # Two steps along K and a part of a third.
    outputs, k, batch = 21, 2 * variant.values_per_load * LANES * variant.split + 90, variant.batch + 1
    random = np.random.default_rng(2)
    weights = random.standard_normal((outputs, k)).astype(np.float32)
    inputs, bias = (random.standard_normal(shape).astype(np.float32) for shape in ((batch, k), (outputs,)))
    form = format_called(variant.format_name)
    packed = form.pack(weights)
    stored = bf16(inputs) if variant.dtype == "bf16" else inputs
    found, again = (np.zeros((batch, outputs), stored.dtype) for _ in range(2))
    sizes = outputs, k, batch, row_words(k, form.bits) // 4, (form.group_of(k) or 1) // variant.values_per_load or 1, 1

    for into, backwards in ((found, False), (again, True)):
        program().launch(
            variant.entry, variant.grid(outputs, batch), (WARPS * LANES,), packed.words, packed.scales, stored, bias,
            into, *map(np.int32, sizes), shared_bytes=variant.shared_bytes, backwards=backwards,
        )  # fmt: skip

    assert np.array_equal(found, again), "no barrier is missing"

    read = (from_bf16(stored) if variant.dtype == "bf16" else inputs).astype(np.float64)
    decoded = form.unpack(packed).astype(np.float64)
    wanted = np.maximum(read @ decoded.T + bias, 0)
    got = from_bf16(found) if variant.dtype == "bf16" else found
    # fp32 sums of k products, and a rounding of the output.
    spread = (np.abs(read) @ np.abs(decoded).T + np.abs(bias)) * 2.0**-21
    assert (np.abs(got - wanted) <= spread + np.abs(wanted) * (2.0**-8 if variant.dtype == "bf16" else 0)).all()


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_every_format_compiles_for_every_gpu_that_nvrtc_knows(capability):
    names = tuple(each.entry for each in CHECKED)
    code = compile_entries(names, "linear.cu", capability)

    assert code.code.startswith(b"\x7fELF")
    assert code.code.count(b".text.") >= len(names)


def test_variants_stay_within_what_a_cta_has():
    for name in FORMATS:
        for batch in (1, 2, 3, 8, 64):
            found = variants(name, "fp32", batch)
            assert found
            assert all(each.shared_bytes <= 48 * 1024 for each in found)
            assert all(each.rows * each.batch * (WARPS // each.split) <= WARPS * LANES for each in found)
