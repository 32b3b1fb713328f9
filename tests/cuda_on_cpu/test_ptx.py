"""The instructions of ``ptx.cuh`` and their form for the CPU go by the same names; NVRTC knows each of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headroom.change import kernels
from headroom.measure.kernels.compile import compile_text
from headroom.measure.kernels.registry import CAPABILITIES, Capability

FOLDER = Path(kernels.__file__).parent
TINY = Path(__file__).parent / "tiny.cu"
#: How ptx.cuh and ptx.hpp begin a function of theirs.
FUNCTION = re.compile(r"^(?:__device__ __forceinline__|inline) [\w ]+?\*? ?(\w+)\(|^HEADROOM_MMA\((\w+),", re.MULTILINE)


def names_in(path: Path) -> set[str]:
    return {"".join(found) for found in FUNCTION.findall(path.read_text("utf-8").split("}  // namespace on_cpu")[-1])}


def test_both_forms_have_the_same_functions() -> None:
    gpu, cpu = names_in(FOLDER / "ptx.cuh"), names_in(Path(__file__).parent / "ptx.hpp")
    assert gpu - {"shared_address", "NAME"} == cpu
    assert len(cpu) >= 16


@pytest.mark.parametrize("capability", CAPABILITIES[1:], ids=lambda pair: "sm_{}{}".format(*pair))
def test_what_the_cpu_runs_compiles_for(capability: Capability) -> None:
    text = TINY.read_text("utf-8").replace("ptx.hpp", "ptx.cuh")
    code = compile_text(text, "tiny.cu", "sm_{}{}".format(*capability), folders=(FOLDER,), names=("staged<true>",))
    assert code.get_kernel is not None
    assert b"multiply_tf32" in code.code


def test_turing_compiles_what_is_not_asked_of_tensor_cores() -> None:
    text = '#include "ptx.cuh"\nextern "C" __global__ void k(float* x) { x[0] = low_fp16(pack_fp16(x[0], x[1])); }'
    assert b".text.k" in compile_text(text, "k.cu", "sm_75", folders=(FOLDER,)).code
