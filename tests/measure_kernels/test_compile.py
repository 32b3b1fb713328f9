"""Every kernel compiles for every GPU that has its instructions, and complaints are one readable sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headroom.errors import GpuError
from headroom.measure.kernels import compile as compiling
from headroom.measure.kernels.compile import compile_kernel, compile_text
from headroom.measure.kernels.registry import CAPABILITIES, KERNELS, Capability

FOLDER = Path(compiling.__file__).parent


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda pair: "sm_{}{}".format(*pair))
def test_every_kernel_compiles_from_its_declared_minimum_on(capability: Capability) -> None:
    sources = [source for source in KERNELS.values() if source.runs_on(capability)]
    assert len(sources) >= 15
    for source in sources:
        code = compile_kernel(source, capability).code
        assert code.startswith(b"\x7fELF"), "machine code, which no driver has to translate"
        assert f".text.{source.name}".encode() in code


def test_nothing_is_declared_to_need_more_than_it_does() -> None:
    """A minimum one step lower would not hold: the kernel is not in what is compiled for that GPU."""
    for source in KERNELS.values():
        if source.feature_suffix or source.minimum == CAPABILITIES[0]:
            continue
        before = CAPABILITIES[CAPABILITIES.index(source.minimum) - 1]
        text = (FOLDER / source.file).read_text("utf-8")
        code = compile_text(text, source.file, source.target(before)).code
        assert f".text.{source.name}".encode() not in code


def test_every_kernel_in_the_folder_is_declared() -> None:
    entry = re.compile(r"__global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(|^ENTRY\((\w+),", re.MULTILINE)
    found = {
        (name or macro, path.name)
        for path in FOLDER.glob("*.cu")
        for name, macro in entry.findall(path.read_text("utf-8"))
        if (name or macro) not in {"NAME", "__launch_bounds__"}
    }
    assert found == {(source.name, source.file) for source in KERNELS.values()}


def test_hoppers_own_instructions_are_compiled_for_hopper_alone() -> None:
    source = KERNELS["wgmma_bf16"]
    assert source.target((9, 0)) == "sm_90a"
    assert [capability for capability in CAPABILITIES if source.runs_on(capability)] == [(9, 0)]


def test_a_kernel_for_a_newer_gpu_is_refused_by_name() -> None:
    with pytest.raises(GpuError, match=r"mma_fp8_m16n8k32 needs compute capability 8.9 or later .* has 8.0"):
        compile_kernel(KERNELS["mma_fp8_m16n8k32"], (8, 0))
    with pytest.raises(GpuError, match=r"wgmma_bf16 needs compute capability 9.0 alone .* has 10.0"):
        compile_kernel(KERNELS["wgmma_bf16"], (10, 0))


def test_an_error_quotes_nvrtc_in_one_line() -> None:
    with pytest.raises(GpuError) as raised:
        compile_text("\n__global__ void broken() { return unknown_name; }", "broken.cu", "sm_75")
    sentence = str(raised.value)
    assert "broken.cu for sm_75" in sentence
    assert "unknown_name" in sentence
    assert sentence.isprintable()
    assert len(sentence) < 1000


def test_a_target_that_nvrtc_does_not_know_is_an_error_and_no_crash() -> None:
    with pytest.raises(GpuError, match="sm_10"):
        compile_text('extern "C" __global__ void empty() {}', "empty.cu", "sm_10")
