"""Every instance compiles for every GPU from its minimum on, and none spills or asks for more than an SM has."""

from __future__ import annotations

import io
import re

import pytest

from headroom.change.synapses.kernels.variants import (
    FOLDER,
    FOLDERS,
    GEMV_ROWS,
    GEMV_THREADS,
    TILES,
    Arithmetic,
    Gather,
    Gemv,
    gathers,
    sum_name,
    vectors,
)
from headroom.measure.kernels.registry import CAPABILITIES, Capability

#: Bytes of shared memory that one CTA may have, and 32-bit registers of an SM.
SHARED_BYTES = {(7, 5): 64, (8, 0): 163, (8, 6): 99, (8, 9): 99, (9, 0): 227, (10, 0): 227, (10, 3): 227, (12, 0): 99}
REGISTERS = 65536
TOLD = re.compile(
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers", re.S
)
#: One instance of every source of code; the tiles differ in loop counts alone.
FEW = [Gather(arithmetic, TILES[0], vectors(arithmetic)[0]) for arithmetic in Arithmetic]
ALL = [variant for arithmetic in Arithmetic for variant in gathers(arithmetic)]
ROWS = [Gemv(arithmetic, rows) for arithmetic in (Arithmetic.FP32, Arithmetic.BF16) for rows in GEMV_ROWS]
H200 = (9, 0)


def registers(file: str, capability: Capability, names: list[str]) -> list[int]:
    """Of each kernel; none may use local memory."""
    from cuda.core import Program, ProgramOptions

    log = io.StringIO()
    options = ProgramOptions(
        name=file,
        arch="sm_{}{}".format(*capability),
        include_path=[str(each) for each in FOLDERS],
        ptxas_options=["-v"],
    )
    program = Program((FOLDER / file).read_text("utf-8"), "c++", options)
    code = program.compile("cubin", name_expressions=tuple(names), logs=log).code
    assert code.startswith(b"\x7fELF")
    told = TOLD.findall(log.getvalue())
    assert len(told) == len(names)
    assert {each[:3] for each in told} == {("0", "0", "0")}, "a stack or spilled registers"
    return [int(each[3]) for each in told]


def compiles_within_limits(capability: Capability, variants: list[Gather]) -> None:
    for threads in {variant.threads for variant in variants}:
        alike = [variant for variant in variants if variant.threads == threads]
        used = registers("gather.cu", capability, [variant.name for variant in alike])
        assert max(used) * max(512, threads) <= REGISTERS, "512 threads per SM are what the kernels are made for"


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_every_arithmetic_compiles_from_its_minimum_on(capability: Capability) -> None:
    variants = [variant for variant in FEW if capability >= variant.arithmetic.minimum]
    compiles_within_limits(capability, variants)
    rows = [variant.name for variant in ROWS[3:5] if capability >= variant.arithmetic.minimum]
    sums = sorted({sum_name(variant.arithmetic) for variant in variants})
    assert max(registers("gemv.cu", capability, rows)) * GEMV_THREADS * 2 <= REGISTERS
    assert max(registers("gather.cu", capability, sums)) <= 64


def test_every_instance_compiles_for_hopper() -> None:
    compiles_within_limits(H200, ALL)
    assert max(registers("gemv.cu", H200, [variant.name for variant in ROWS])) * GEMV_THREADS * 2 <= REGISTERS


@pytest.mark.long
@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_every_instance_compiles_for_every_gpu(capability: Capability) -> None:
    compiles_within_limits(capability, [each for each in ALL if capability >= each.arithmetic.minimum])
    rows = [variant.name for variant in ROWS if capability >= variant.arithmetic.minimum]
    assert max(registers("gemv.cu", capability, rows)) * GEMV_THREADS * 2 <= REGISTERS


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_shared_memory_of_a_cta_is_within_every_gpus_limit(capability: Capability) -> None:
    for variant in ALL:
        if capability >= variant.arithmetic.minimum:
            assert variant.shared_bytes <= SHARED_BYTES[capability] * 1024


def test_tensor_cores_are_not_asked_for_on_turing() -> None:
    assert Arithmetic.FP32.minimum == CAPABILITIES[0]
    for arithmetic in (Arithmetic.TF32, Arithmetic.BF16):
        with pytest.raises(Exception, match="COMPILATION"):
            registers("gather.cu", (7, 5), [next(gathers(arithmetic)).name])
