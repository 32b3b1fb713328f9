"""Chains as cuBLASLt's products: computed here column by column, as the library reads memory."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Matmul
from headroom.measure.backends.cublaslt import bias_vector, right_factor
from headroom.measure.backends.geometry.frame import strides_of
from headroom.measure.backends.geometry.memory import arranged
from headroom.measure.backends.lt.names import Algorithm, parsed
from headroom.measure.backends.lt.problem import Factor, Problem, problem_of
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.bench import Operands, UnsupportedError
from measure_backends.stand_ins import batch_norm, convolution, layer, linear, operands, pointwise, residual

_ACTIVATIONS = {"RELU": torch.relu, "GELU": lambda x: functional.gelu(x, approximate="tanh")}


def as_columns(memory: torch.Tensor, factor: Factor, batch: int) -> torch.Tensor:
    """What the library makes of a factor's memory: (batch, rows, columns), transposed where it is told so."""
    strides = (factor.batch_stride, 1, factor.rows)
    matrix = memory.reshape(-1).as_strided((batch, factor.rows, factor.columns), strides)
    return matrix.mT if factor.transposed else matrix


def computed(problem: Problem, given: Operands) -> torch.Tensor:
    """The result as read back from memory: the library's own product is ``right @ left``, its rows our columns."""

    def memory(spec: TensorSpec) -> torch.Tensor:
        tensor = given.tensor(spec.name, problem.layout)
        laid = arranged(tensor, tensor.shape, strides_of(tensor.shape, problem.layout))
        return laid.as_strided((laid.numel(),), (1,)).double()

    right = right_factor(problem, given).double()
    left = memory(problem.left.spec)
    result = as_columns(right, problem.right, problem.batch) @ as_columns(left, problem.left, problem.batch)
    shape = (problem.batch, problem.m, problem.n)
    if problem.residual is not None:
        result = result + memory(problem.residual).reshape(shape).mT
    bias = bias_vector(problem, given)
    assert (bias is not None) == problem.has_bias
    if bias is not None:
        result = result + bias.double().reshape(1, -1, 1)
    if problem.activation:
        result = _ACTIVATIONS[problem.activation](result)
    rows = result.mT.contiguous().reshape(-1)
    out = problem.result.shape
    if problem.layout == "nhwc":
        return rows.reshape(out[0], *out[2:], out[1]).movedim(-1, 1)
    return rows.reshape(out)


def agrees(*layers: Layer, layout: str = "", dtype: DataType = DataType.FP32) -> Problem:
    chain = Chain.of(layers)
    given = operands(chain)
    tensors = {name: tensor.double() for name, tensor in given.sources.items()}
    expected = bind_chain(chain, tensors)(tensors)[0]
    problem = problem_of(chain, dtype, layout)
    torch.testing.assert_close(computed(problem, given), expected, rtol=1e-5, atol=1e-5)
    return problem


@pytest.mark.parametrize("stored", [True, False], ids=["(n, k)", "(k, n)"])
@pytest.mark.parametrize("data", [(2, 3, 8), (1, 8), (8,)], ids=["batch of rows", "one row", "vector"])
def test_a_linear_layer_is_one_product(data, stored):
    assert agrees(linear(data, transposed_weight=stored)).batch == 1


def test_bias_residual_and_activation_are_one_epilogue():
    product = linear(bias=True)
    added = residual(product, "r")
    problem = agrees(product, added, pointwise("relu", added, "z"))
    assert problem.epilogue == "RELU_BIAS"
    assert problem.residual is not None


def test_gelu_by_tanh_is_an_epilogue_and_the_exact_one_only_where_rounding_hides_the_difference():
    product = linear(bias=True)
    assert agrees(product, pointwise("fastgelu", product, "z")).epilogue == "GELU_BIAS"
    exact = Chain.of([product, pointwise("gelu", product, "z")])
    assert problem_of(exact, DataType.BF16, "").epilogue == "GELU_BIAS"
    with pytest.raises(UnsupportedError, match="gelu"):
        problem_of(exact, DataType.FP32, "")


@pytest.mark.parametrize("shapes", [((2, 3, 4, 5), (2, 3, 5, 6)), ((6, 4, 5), (6, 5, 6))])
def test_batched_products_keep_their_strides(shapes):
    left, right = (TensorSpec(name, shape) for name, shape in zip("lr", shapes, strict=True))
    out = TensorSpec("y", (*left.shape[:-1], 6))
    assert agrees(layer(Matmul(4, 6, 5, 6), [left, right], [], out)).batch == 6


def test_one_left_matrix_serves_a_batch():
    left, right = TensorSpec("l", (4, 5)), TensorSpec("r", (3, 5, 6))
    problem = agrees(layer(Matmul(4, 6, 5, 3), [left, right], [], TensorSpec("y", (3, 4, 6))))
    assert problem.left.batch_stride == 0


def test_a_transposed_left_factor_is_never_copied():
    left, right = TensorSpec("l", (6, 4)), TensorSpec("r", (6, 5))
    problem = agrees(layer(Matmul(4, 5, 6), [left, right], [], TensorSpec("y", (4, 5))))
    assert problem.left.transposed


def test_a_convolution_of_one_tap_is_a_product_of_positions_and_channels():
    anchor = convolution(kernel=(1, 1), padding=0, bias=True)
    norm = batch_norm(anchor, "n")
    added = residual(norm, "r")
    problem = agrees(anchor, norm, added, pointwise("relu", added, "z"), layout="nhwc")
    assert (problem.m, problem.n, problem.k) == (60, 4, 8)
    assert problem.epilogue == "RELU_BIAS"


@pytest.mark.parametrize("anchor", [
    convolution(),
    convolution(kernel=(1, 1), padding=0, stride=2),
    convolution(kernel=(1, 1), padding=0, groups=2),
], ids=["3x3", "strided", "grouped"])  # fmt: skip
def test_other_convolutions_are_no_product(anchor):
    with pytest.raises(UnsupportedError, match="one tap"):
        problem_of(Chain.of([anchor]), DataType.BF16, "nhwc")


def test_work_behind_an_activation_is_refused():
    product = linear()
    active = pointwise("relu", product, "a")
    with pytest.raises(UnsupportedError, match="no epilogue"):
        problem_of(Chain.of([product, active, residual(active, "z")]), DataType.BF16, "")


@pytest.mark.parametrize("stored", [True, False], ids=["(n, k)", "(k, n)"])
def test_fp8_factors_lie_along_k(stored):
    problem = agrees(linear(transposed_weight=stored), dtype=DataType.FP8)
    assert problem.right.transposed
    assert not problem.left.transposed
    assert problem.right.retransposed is not stored


CONFIGURATION = {
    "algo": 66, "tile": 20, "stages": 36, "splitk": -1, "reduction": 0, "swizzle": 1, "custom": 104, "inner": 0,
    "cluster": 2,
}  # fmt: skip


@pytest.mark.parametrize("opaque", [b"", bytes(range(64))], ids=["attributes", "bytes"])
@pytest.mark.parametrize("fast", [False, True])
def test_a_name_brings_back_its_algorithm(opaque, fast):
    algorithm = Algorithm(CONFIGURATION, opaque, fast)
    assert parsed(algorithm.name) == algorithm


def test_a_name_is_readable():
    name = Algorithm(CONFIGURATION).name
    assert name == "algo66_tile20_stages36_splitk-1_reduction0_swizzle1_custom104_inner0_cluster2"


@pytest.mark.parametrize("name", ["", "algo66", "eng22_k2=5", Algorithm(CONFIGURATION).name + "_x00"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match="names no algorithm"):
        parsed(name)
