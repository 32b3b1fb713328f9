"""The strict product on the CPU beside fp64, and what NVRTC makes of every variant."""

from __future__ import annotations

import numpy as np
import pytest

from change_fission.cubin import usage
from cuda_on_cpu.program import cpu_program, needs_compiler
from headroom.change.fission import format_called
from headroom.change.fission.formats.words import ROW_WORDS
from headroom.change.fission.kernels.gemm_variants import (
    SIMULATED,
    THREADS,
    GemmVariant,
    Side,
    Where,
    compile_gemm,
    figure_11,
)
from headroom.change.fission.kernels.sources import FOLDER, FOLDERS
from headroom.measure.kernels.registry import CAPABILITIES

COMPUTING = {name: variant for name, variant in figure_11().items() if not variant.simulated}
MIXED = GemmVariant(Side("int8", Where.AHEAD), Side("deft16", Where.FUSED))
CHECKED = (*COMPUTING.values(), MIXED)


def operand(side: Side, rows: np.ndarray):
    """What lies in device memory, its scales, its 16-byte loads of a row, and what the kernel makes of it in fp64."""
    if side.form == "fp32" or side.where is Where.FUSED:
        padded = np.zeros((len(rows), -(-rows.shape[1] // ROW_WORDS) * ROW_WORDS), np.float32)
        padded[:, : rows.shape[1]] = rows
        seen = rows if side.form == "fp32" else fused(side.form, rows)
        return padded, None, padded.shape[1] // ROW_WORDS, seen.astype(np.float64)
    form = format_called(side.form)
    packed = form.pack(rows)
    return packed.words, packed.scales, packed.words.shape[1] // ROW_WORDS, form.unpack(packed).astype(np.float64)


def fused(form: str, rows: np.ndarray) -> np.ndarray:
    """Cut to 16 bits on the way into shared memory; in Deft-16Q the neighbour's bits stand below the high value."""
    even = np.zeros((len(rows), rows.shape[1] + rows.shape[1] % 2), np.float32)
    even[:, : rows.shape[1]] = rows
    bits = even.view(np.uint32) & np.uint32(0xFFFF0000)
    if form == "deft16q":
        bits[:, 1::2] |= bits[:, ::2] >> np.uint32(16)
    return bits.view(np.float32)[:, : rows.shape[1]]


@needs_compiler
@pytest.mark.parametrize("variant", CHECKED, ids=lambda each: each.entry)
def test_the_product_is_fp64s_whichever_thread_comes_first(variant):
    # More than a tile each way, and an end of K that fills neither a tile nor a word.
    m, n, k = 130, 133, 2 * variant.tile_k + 3
    random = np.random.default_rng(3)
    left, right = (random.standard_normal((rows, k)).astype(np.float32) for rows in (m, n))
    bias = random.standard_normal(n).astype(np.float32)
    (a, a_scales, a_loads, a_seen), (b, b_scales, b_loads, b_seen) = (
        operand(variant.left, left),
        operand(variant.right, right),
    )
    results = []
    program = cpu_program(FOLDER / "gemm.cu", tuple(each.entry for each in CHECKED), folders=FOLDERS)

    for backwards in (False, True):
        found = np.full((m, n), np.nan, np.float32)
        program.launch(
            variant.entry, variant.grid(m, n), (THREADS,), a, b, a_scales, b_scales, bias, found,
            *map(np.int32, (m, n, k, a_loads, b_loads, 1)), shared_bytes=variant.shared_bytes, backwards=backwards,
        )  # fmt: skip
        results.append(found)

    wanted = np.maximum(a_seen @ b_seen.T + bias, 0)
    spread = (np.abs(a_seen) @ np.abs(b_seen).T + np.abs(bias)) * 2.0**-21
    assert (np.abs(results[0] - wanted) <= spread).all()
    assert np.array_equal(results[0], results[1]), "no barrier is missing"


def compiled(variants, capability):
    found = {}
    for simulated in (False, True):
        if chosen := tuple(each for each in variants if each.simulated is simulated):
            found |= usage(compile_gemm(chosen, capability).code)
    return found


@pytest.mark.parametrize("name", figure_11())
def test_on_hopper_two_ctas_fit_an_sm_and_nothing_spills(name):
    (used,) = compiled((figure_11()[name],), (9, 0)).values()

    assert used.registers <= 128
    assert used.local_bytes == 0


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_the_product_compiles_for_every_gpu_that_nvrtc_knows(capability):
    found = compiled((GemmVariant(), figure_11()["Deft-16Q"]), capability)

    assert len(found) == 2
    assert all(used.registers <= 128 for used in found.values())


def test_every_variant_stays_within_the_shared_memory_that_a_cta_has():
    assert all(variant.shared_bytes <= 48 * 1024 for variant in CHECKED)
    assert figure_11()["Deft-16Q"].shared_bytes == GemmVariant().shared_bytes / 2
    assert figure_11()["Deft-16Q, off-chip packing"].shared_bytes == GemmVariant().shared_bytes


def test_what_simulates_the_unit_says_so_and_is_compiled_apart():
    assert {name for name, variant in figure_11().items() if variant.simulated} == {
        name for name in figure_11() if "simulated" in name
    }
    assert set(SIMULATED) == {"deft16_unit", "deft8_unit"}
    with pytest.raises(ValueError, match="compiled apart"):
        compile_gemm(tuple(figure_11().values()), (9, 0))
