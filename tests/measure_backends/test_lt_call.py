"""Algorithms of cuBLASLt listed and made again, on bindings that stand in for the library."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.measure.backends.lt import call, library
from headroom.measure.backends.lt.names import ATTRIBUTES, parsed
from headroom.measure.backends.lt.problem import problem_of
from headroom.measure.bench import UnsupportedError
from measure_backends.stand_ins import linear, pointwise, residual

real = pytest.importorskip("nvmath.bindings.cublasLt")

FMA, HMMA = 0x01, 0x02


class DeclinedError(Exception):
    """The library's error; the real one asks the library for its text."""


class StandIn:
    """Names and types are the real bindings'; an algorithm's words are its attributes, one byte each, and a flag.

    ``hidden`` is a word of an algorithm that no attribute shows.
    """

    cuBLASLtError = DeclinedError  # noqa: N815

    def __init__(self, algorithms: list[int], flags: int = FMA, hidden: int = 0) -> None:
        self.algorithms, self.flags, self.hidden = algorithms, flags, hidden
        self.open: set[int] = set()
        self.set: dict[str, int] = {}
        self.ran: tuple[Any, ...] = ()
        self.refusal = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)

    def _made(self, *arguments: Any) -> int:
        self.open.add(len(self.open) + 100)
        return max(self.open)

    matmul_desc_create = matrix_layout_create = matmul_preference_create = _made

    def _gone(self, descriptor: int) -> None:
        self.open.remove(descriptor)

    matmul_desc_destroy = matrix_layout_destroy = matmul_preference_destroy = _gone

    def matmul_desc_set_attribute(self, descriptor: int, attribute: int, buffer: int, size: int) -> None:
        self.set[real.MatmulDescAttribute(attribute).name] = int.from_bytes(ctypes.string_at(buffer, size), "little")

    def matrix_layout_set_attribute(self, *arguments: Any) -> None: ...

    def matmul_preference_set_attribute(self, *arguments: Any) -> None: ...

    def matmul_algo_get_heuristic(self, *arguments: Any) -> None:
        count, results, found = arguments[-3:]
        array = np.zeros(count, real.matmul_heuristic_result_dtype)
        for i, algorithm in enumerate(self.algorithms[:count]):
            array[i]["algo"]["data_"][0] = algorithm
            array[i]["algo"]["data_"][7] = self.hidden
        ctypes.memmove(results, array.tobytes(), array.nbytes)
        ctypes.memmove(found, np.array([len(self.algorithms)], np.int32).tobytes(), 4)

    def matmul_algo_cap_get_attribute(self, data: int, which: int, buffer: int, size: int, written: int) -> None:
        ctypes.memmove(buffer, np.array([self.flags], np.uint64).tobytes(), 8)

    def matmul_algo_config_get_attribute(self, data: int, which: int, buffer: int, size: int, written: int) -> None:
        word = ctypes.c_uint64.from_address(data).value
        value = (word >> 7 * int(which)) & 0x7F
        ctypes.memmove(buffer, value.to_bytes(size, "little"), size)

    def matmul_algo_init(self, *arguments: Any) -> None:
        identifier, data = arguments[-2:]
        if identifier == 99:
            raise DeclinedError("CUBLAS_STATUS_NOT_SUPPORTED")
        ctypes.c_uint64.from_address(data).value = identifier

    def matmul(self, *arguments: Any) -> None:
        if self.refusal:
            raise DeclinedError(self.refusal)
        self.ran = arguments

    def matmul_algo_config_set_attribute(self, data: int, which: int, buffer: int, size: int) -> None:
        value = int.from_bytes(ctypes.string_at(buffer, size), "little")
        ctypes.c_uint64.from_address(data).value |= value << 7 * int(which)


def word(*attributes: int) -> int:
    return sum(value << 7 * place for place, value in enumerate(attributes))


@pytest.fixture
def bindings(monkeypatch):
    def install(*algorithms: int, **options: int) -> StandIn:
        stand_in = StandIn(list(algorithms), **options)
        for module in (call, library):
            monkeypatch.setattr(module, "bindings", lambda: stand_in)
        monkeypatch.setattr(call, "handle", lambda: 1)
        return stand_in

    return install


PRODUCT = linear(bias=True)
RELU = Chain.of([PRODUCT, pointwise("relu", PRODUCT, "z")])


def product(dtype: DataType = DataType.BF16) -> call.Call:
    return call.Call(problem_of(RELU, dtype, ""), dtype)


def test_an_algorithm_is_made_again_from_its_name(bindings):
    bindings(word(66, 20, 3, 0, 1), word(67, 21))
    made = product()
    listed = list(made.proposals(8))
    assert [algorithm.attributes["algo"] for algorithm, _ in listed] == [66, 67]
    for algorithm, data in listed:
        assert not algorithm.opaque
        assert (made.made(parsed(algorithm.name)) == data).all()


def test_bytes_that_no_attribute_shows_are_in_the_name(bindings):
    bindings(word(66, 20), hidden=5)
    made = product()
    ((algorithm, data),) = made.proposals(8)
    assert algorithm.opaque == data.tobytes()
    assert (made.made(parsed(algorithm.name)) == data).all()


def test_strict_fp32_leaves_out_algorithms_on_tensor_cores(bindings):
    bindings(word(66, 20), flags=HMMA)
    assert list(product(DataType.FP32).proposals(8)) == []
    assert len(list(product(DataType.TF32).proposals(8))) == 1


def test_an_unknown_algorithm_is_unsupported(bindings):
    bindings()
    name = "_".join(f"{key}{99 if key == 'algo' else 0}" for key in ATTRIBUTES)
    with pytest.raises(UnsupportedError):
        product().made(parsed(name))


def test_the_epilogue_and_the_bias_reach_the_library(bindings):
    stand_in = bindings()
    made = product(DataType.FP8)
    made.bind(bias=4096, scales=8192)
    assert stand_in.set["EPILOGUE"] == int(real.Epilogue.RELU_BIAS)
    assert stand_in.set["TRANSA"] == 1
    assert stand_in.set["TRANSB"] == 0
    assert stand_in.set["BIAS_POINTER"] == 4096
    assert stand_in.set["A_SCALE_POINTER"] == stand_in.set["D_SCALE_POINTER"] == 8192
    assert stand_in.set["BIAS_DATA_TYPE"] == library.stored_type(DataType.BF16)


ADDRESSES = {"left": 512, "right": 1024, "result": 2048}


@pytest.mark.parametrize("dtype", list(DataType), ids=str)
def test_a_product_without_a_residual_never_reads_its_result_as_one(bindings, dtype):
    stand_in = bindings()
    product(dtype).run(np.zeros(8, np.uint64), ADDRESSES, 0, 0, 0)
    residual, result = stand_in.ran[8], stand_in.ran[10]
    assert (residual, result) == (0, 2048)


def test_a_residual_is_read_where_it_lies(bindings):
    stand_in = bindings()
    chain = Chain.of([PRODUCT, residual(PRODUCT, "z")])
    made = call.Call(problem_of(chain, DataType.BF16, ""), DataType.BF16)
    made.run(np.zeros(8, np.uint64), {**ADDRESSES, "residual": 4096}, 0, 0, 0)
    assert stand_in.ran[8] == 4096


def test_arguments_that_are_not_taken_are_unsupported_and_failures_are_not(bindings):
    stand_in = bindings()
    made = product()
    stand_in.refusal = "an unsupported value was passed (CUBLAS_STATUS_INVALID_VALUE). You can set CUBLASLT_LOG_LEVEL"
    with pytest.raises(UnsupportedError, match=r"INVALID_VALUE\)$"):
        made.run(np.zeros(8, np.uint64), ADDRESSES, 0, 0, 0)
    stand_in.refusal = "the GPU program failed to execute (CUBLAS_STATUS_EXECUTION_FAILED)"
    with pytest.raises(DeclinedError, match="EXECUTION_FAILED"):
        made.run(np.zeros(8, np.uint64), ADDRESSES, 0, 0, 0)


def test_descriptors_go_with_their_owner(bindings):
    stand_in = bindings(word(66))
    made = product()
    list(made.proposals(8))
    assert len(stand_in.open) == 5
    del made
    gc.collect()
    assert not stand_in.open
