"""The libraries' own logs as calls with their parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headroom.advise.library_calls import LoggedCalls
from headroom.errors import ProfileError
from headroom.measure.profiles.library_logs import LibraryCall, read_library_log
from measure_profiles.library_samples import (
    CUBLAS_13,
    CUBLASLT_13,
    CUBLASLT_ERROR,
    CUBLASLT_LIKE,
    CUDNN_8,
    CUDNN_9,
)


def calls(folder: Path, text: str) -> tuple[LibraryCall, ...]:
    path = folder / "library.log"
    path.write_text(text)
    return read_library_log(path)


def test_a_tensor_descriptor_of_cudnn_9_tells_dimensions_strides_and_type(tmp_path: Path) -> None:
    (call,) = calls(tmp_path, CUDNN_9)
    assert (call.library, call.function) == ("cudnn", "cudnnBackendSetAttribute")
    assert call["descriptor"].type == "CUDNN_BACKEND_TENSOR_DESCRIPTOR"
    assert call["descriptor.dimA"].numbers == (1152, 3, 14, 14)
    assert call["descriptor.strideA"].numbers == (588, 1, 42, 3)
    assert call["descriptor.type"].value == "CUDNN_DATA_FLOAT (0)"
    assert call["[0]"].numbers == (32,)


def test_what_a_function_of_cudnn_9_returned_is_no_second_call(tmp_path: Path) -> None:
    assert "val=CUDNN_STATUS_SUCCESS" in CUDNN_9
    assert len(calls(tmp_path, CUDNN_9 + CUDNN_9)) == 2


def test_descriptors_within_descriptors_keep_their_path(tmp_path: Path) -> None:
    create, plan = calls(tmp_path, CUDNN_8)
    assert create["descriptorType"].value == "CUDNN_BACKEND_TENSOR_DESCRIPTOR (17)"
    assert plan["descriptor.engcfg.engine.engine_id"].numbers == (-1,)
    assert plan["attributeName"].value == "CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG (401)"


def test_a_matmul_of_cublas_tells_its_sizes(tmp_path: Path) -> None:
    create, matmul = calls(tmp_path, CUBLAS_13)
    assert create.function == "cublasCreate_v2"
    assert (matmul.library, matmul.function) == ("cublas", "cublasSgemm_v2")
    assert [matmul[name].numbers for name in "mnk"] == [(2,), (1,), (2,)]
    assert matmul["transa"].value == "CUBLAS_OP_T(1)"
    with pytest.raises(KeyError):
        matmul["nothing"]


def test_a_line_of_cublaslt_tells_layouts_and_algorithm(tmp_path: Path) -> None:
    (call,) = calls(tmp_path, CUBLASLT_LIKE)
    assert (call.library, call.function) == ("cublaslt", "cublasLtTSTMatmul")
    assert call["Adesc.rows"].numbers == (64,)
    assert call["Adesc.type"].value == "R_16BF"
    assert call["algo.tile"].value == "MATMUL_TILE_128x128"


def test_cublaslt_s_own_lines_on_an_h200_tell_sizes_epilogue_and_algorithm(tmp_path: Path) -> None:
    linear, plain = calls(tmp_path, CUBLASLT_13)
    assert [linear[name].numbers for name in ("Adesc.rows", "Adesc.cols", "Bdesc.cols")] == [(2304,), (768,), (197,)]
    assert linear["computeDesc.epilogue"].value == "EPILOGUE_BIAS"
    assert plain.function == "cublasLtTSTMatmul"
    assert (plain["algo.algoId"].numbers, plain["algo.tile"].value) == ((66,), "MATMUL_TILE_64x32")
    asked = LoggedCalls((linear, plain), {(197, 768, 768, 1): 1, (197, 768, 2304, 1): 1}, 0)
    assert asked.products == {(197, 768, 2304, 1): 1.0, (197, 768, 768, 1): 1.0}


def test_logs_of_several_libraries_in_one_file_are_told_apart(tmp_path: Path) -> None:
    found = calls(tmp_path, CUDNN_8 + CUBLASLT_ERROR + CUBLASLT_LIKE + CUBLAS_13)
    assert [call.library for call in found] == ["cudnn", "cudnn", "cublaslt", "cublas", "cublas"]


@pytest.mark.parametrize("text", ["", "nothing to see", CUBLASLT_ERROR])
def test_a_file_without_calls_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="no call of cuDNN or cuBLAS"):
        calls(tmp_path, text)


@settings(max_examples=100, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.characters()), max_size=20), end=st.integers(0, 6000))
def test_damaged_logs_give_calls_or_a_sentence(
    changes: list[tuple[int, str]], end: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = list(CUDNN_9 + CUBLAS_13 + CUBLASLT_LIKE)
    for place, character in changes:
        text[place % len(text)] = character
    path = tmp_path_factory.getbasetemp() / "damaged.log"
    path.write_bytes("".join(text[:end]).encode("utf-8", errors="replace"))
    try:
        found = read_library_log(path)
    except ProfileError:
        return
    assert all(isinstance(parameter.numbers, tuple) for call in found for parameter in call.parameters)


def test_endless_lines_take_no_time(tmp_path: Path) -> None:
    line = "i!" + " " * 200_000 + "x: type=" + "a" * 200_000
    flat = "[cublasLt][1][Trace][f] " + "a=[" * 100_000
    assert len(calls(tmp_path, "\n".join([CUDNN_8, line, flat]))) == 3
