"""cuDNN's graphs and functions and cuBLASLt on this machine's GPU: right outputs, and names that bring plans back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Attention, Elementwise, Matmul, Normalization, Pooling, Recurrent, Reduction, Softmax
from headroom.measure import backends
from headroom.measure.bench import Backend, Candidate, Operands, Program, UnsupportedError
from headroom.measure.gradients import gradient
from headroom.measure.layer import measure_layer
from headroom.measure.reasons import meaning_of
from headroom.measure.task import Task
from headroom.store.rows import Implementation, Status, Timing

torch = pytest.importorskip("torch")

from measure_backends.stand_ins import batch_norm, convolution, layer, linear, pointwise, residual  # noqa: E402

pytestmark = pytest.mark.gpu

ANCHOR = convolution((4, 64, 28, 28), 64)
NORM = batch_norm(ANCHOR, "n")
ADDED = residual(NORM, "r")
ONE_TAP = convolution((4, 64, 28, 28), 128, (1, 1), padding=0, bias=True)
LINEAR = linear((4, 64, 256), 512, bias=True)
GRADIENT = gradient(ANCHOR, "dgrad")
WEIGHT_GRADIENT = gradient(ANCHOR, "wgrad")
assert GRADIENT is not None
assert WEIGHT_GRADIENT is not None

CONVOLUTIONS = {
    "convolution": [ANCHOR],
    "folded norm, residual, relu": [ANCHOR, NORM, ADDED, pointwise("relu", ADDED, "z")],
    "swish": [ANCHOR, NORM, pointwise("swish", NORM, "z")],
    "hardswish": [ANCHOR, NORM, pointwise("hardswish", NORM, "z")],
    "clip": [ANCHOR, NORM, pointwise("clip", NORM, "z")],
    "one tap": [ONE_TAP, pointwise("relu", ONE_TAP, "z")],
    "input gradient": [GRADIENT],
    "weight gradient": [WEIGHT_GRADIENT],
    "depthwise": [convolution((4, 64, 28, 28), 64, groups=64)],
    "3d": [convolution((2, 16, 8, 14, 14), 32, (3, 3, 3))],
}
PRODUCTS = {
    "linear": [LINEAR],
    "linear, relu": [LINEAR, pointwise("relu", LINEAR, "z")],
    "linear, residual": [LINEAR, residual(LINEAR, "z")],
    "row": [linear((1, 1024), 512)],
    "stored (k, n)": [linear((64, 256), 512, transposed_weight=False)],
    "batched": [
        layer(Matmul(64, 64, 32, 24), [TensorSpec("l", (24, 64, 32)), TensorSpec("r", (24, 32, 64))], [],
              TensorSpec("y", (24, 64, 64)))
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> Any:
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU that PyTorch can use")
    from headroom.measure.cuda.bench import CudaBench

    return CudaBench(0)


def library(module: str) -> Backend:
    registered = backends.load([module])
    assert registered.backends, registered.missing
    return registered.backends[0]


def programs(backend: Backend, task: Task, operands: Operands) -> Iterator[tuple[Candidate, Program]]:
    """What builds."""
    for candidate in backend.candidates(task, operands):
        try:
            yield candidate, candidate.build()
        except UnsupportedError:
            continue


@dataclass
class Seen:
    """What became of the implementations of a chain, those aside that the library declines."""

    right: list[Implementation] = field(default_factory=list)
    wrong: list[object] = field(default_factory=list)
    broken: list[object] = field(default_factory=list)


def seen(bench: Any, module: str, layers: list[Any], dtype: DataType, plans: str = "heuristic") -> Seen:
    """Run every implementation once; one that fails costs itself alone."""
    task = Task(Chain.of(layers), dtype, plans)
    operands = bench.operands(task)
    found = Seen()
    for candidate in library(module).candidates(task, operands):
        try:
            check = bench.check(candidate.build(), task, operands)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is to be understood
            failure = meaning_of(error, bench)
            assert not failure.poisoned, (candidate.implementation, failure)
            if failure.status is not Status.UNSUPPORTED:
                found.broken.append((candidate.implementation, failure))
            continue
        if check.passed:
            found.right.append(candidate.implementation)
        else:
            found.wrong.append((candidate.implementation, check))
    return found


def checked(bench: Any, module: str, layers: list[Any], dtype: DataType) -> int:
    """How many implementations compute the reference.

    The libraries have plans that fail or, in fp8, compute something else; those are seen. A description of ours that
    were wrong would make most plans of some layout wrong, in every data type.
    """
    found = seen(bench, module, layers, dtype)
    assert dtype is DataType.FP8 or not found.wrong, found.wrong
    assert len(found.broken) <= len(found.right), found.broken
    return len(found.right)


@pytest.mark.parametrize("dtype", list(DataType), ids=str)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_cudnn_convolutions_compute_the_reference(bench, case, dtype):
    count = checked(bench, "cudnn_graph", CONVOLUTIONS[case], dtype)
    assert count or (dtype is DataType.FP8 and case not in ("convolution", "folded norm, residual, relu"))


@pytest.mark.parametrize("dtype", [DataType.TF32, DataType.FP16, DataType.BF16], ids=str)
@pytest.mark.parametrize("case", PRODUCTS)
def test_cudnn_products_compute_the_reference(bench, case, dtype):
    assert checked(bench, "cudnn_graph", PRODUCTS[case], dtype)


@pytest.mark.parametrize("dtype", list(DataType), ids=str)
@pytest.mark.parametrize("case", PRODUCTS)
def test_cublaslt_products_compute_the_reference(bench, case, dtype):
    count = checked(bench, "cublaslt", PRODUCTS[case], dtype)
    assert count or (dtype is DataType.FP8 and case in ("row", "batched", "linear, residual"))


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.TF32, DataType.BF16, DataType.FP8], ids=str)
def test_a_convolution_of_one_tap_is_a_product_of_cublaslt(bench, dtype):
    assert checked(bench, "cublaslt", CONVOLUTIONS["one tap"], dtype)


POINTWISE = layer(
    Normalization("batch", 4 * 64 * 28 * 28), [TensorSpec("x", (4, 64, 28, 28))],
    [TensorSpec(name, (64,)) for name in ("scale", "shift", "mean", "variance")], TensorSpec("y", (4, 64, 28, 28)),
)  # fmt: skip
ROWS = layer(
    Normalization("layer", 4 * 64 * 768, 768), [TensorSpec("x", (4, 64, 768))],
    [TensorSpec("scale", (768,)), TensorSpec("shift", (768,))], TensorSpec("y", (4, 64, 768)),
)  # fmt: skip


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.FP16, DataType.BF16], ids=str)
@pytest.mark.parametrize("layers", [[POINTWISE, pointwise("relu", POINTWISE, "z")], [ROWS]], ids=["pointwise", "rows"])
def test_cudnn_runs_pointwise_chains_and_row_norms(bench, layers, dtype):
    assert checked(bench, "cudnn_graph", layers, dtype)


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.BF16], ids=str)
@pytest.mark.parametrize("function", ["relu", "add"])
def test_every_plan_runs_pointwise_work_of_any_size(bench, function, dtype):
    shape = (32, 192, 56, 56)
    reads = [TensorSpec(name, shape) for name in ("xo" if function == "add" else "x")]
    work = Elementwise(function, 32 * 192 * 56 * 56, activation=function == "relu")
    found = seen(bench, "cudnn_graph", [layer(work, reads, [], TensorSpec("y", shape))], dtype, "all")
    assert found.right
    assert not found.wrong
    assert not found.broken


class Notes:
    """The rows that the loop tells."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Implementation, str], Timing] = {}

    def trying(self, implementation: Implementation, l2: str) -> None: ...

    def waiting(self) -> None: ...

    def running(self) -> None: ...

    def timing(self, timing: Timing) -> None:
        self.rows[timing.implementation, timing.l2] = timing


@pytest.mark.parametrize("case", ["convolution", "3d"])
def test_what_computes_something_else_is_a_failed_row_and_only_what_is_right_has_a_time(bench, case):
    notes = Notes()
    measure_layer(Task(Chain.of(CONVOLUTIONS[case]), DataType.FP8), bench, notes)
    rows = list(notes.rows.values())
    timed = [row for row in rows if row.median_us is not None]
    assert timed
    for row in rows:
        if row.median_us is None:
            assert row.reason, row
        else:
            assert row.relative_error is not None, row
            assert row.tolerance is not None, row
            assert row.relative_error <= row.tolerance, row
        if row.relative_error is not None and row.tolerance is not None and row.relative_error > row.tolerance:
            assert (row.status, row.median_us) == (Status.FAILED, None), row


@pytest.mark.parametrize("case", ["plain", "causal", "masked", "grouped"])
def test_cudnn_attention_computes_the_reference(bench, case):
    kv_heads = 2 if case == "grouped" else 8
    query, out = (TensorSpec(name, (2, 8, 128, 64)) for name in "qy")
    key, value = (TensorSpec(name, (2, kv_heads, 128, 64)) for name in "kv")
    work = Attention(2, 8, 128, 128, 64, 64, kv_heads, causal=case == "causal", masked=case == "masked")
    masks = [TensorSpec("mask", (1, 1, 128, 128))] if case == "masked" else []
    assert checked(bench, "cudnn_graph", [layer(work, [query, key, value, *masks], [], out)], DataType.BF16)


IMAGE = TensorSpec("x", (4, 64, 28, 28))
ONE_TENSOR = {
    "max": layer(Pooling("max", 4 * 64 * 14 * 14, (3, 3), (2, 2)), [IMAGE], [], TensorSpec("y", (4, 64, 14, 14))),
    "average": layer(Pooling("average", 4 * 64 * 196, (2, 2), (2, 2)), [IMAGE], [], TensorSpec("y", (4, 64, 14, 14))),
    "global": layer(Pooling("average", 256, (28, 28), (28, 28)), [IMAGE], [], TensorSpec("y", (4, 64, 1, 1))),
    "local response": layer(Normalization("local_response", 4 * 64 * 784, 5), [IMAGE], [],
                            TensorSpec("y", (4, 64, 28, 28))),
    "softmax": layer(Softmax(64, 1000), [TensorSpec("x", (64, 1000))], [], TensorSpec("y", (64, 1000))),
    "mean": layer(Reduction("reducemean", 4 * 64 * 784, 256), [IMAGE], [], TensorSpec("y", (4, 64))),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.FP16, DataType.BF16], ids=str)
@pytest.mark.parametrize("case", ONE_TENSOR)
def test_functions_of_one_tensor_compute_the_reference(bench, case, dtype):
    count = checked(bench, "cudnn_legacy", [ONE_TENSOR[case]], dtype)
    assert count or (dtype is DataType.BF16 and case in ("local response", "mean"))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.TF32, DataType.FP16], ids=str)
def test_recurrent_layers_compute_the_reference(bench, cell, dtype):
    work = Recurrent(cell, batch=16, length=10, input_size=64, hidden_size=128, layers=2, directions=2)
    gates = work.GATES[cell] * 128
    weights = []
    for index, width in ((0, 64), (0, 64), (1, 256), (1, 256)):
        shapes = [(gates, width), (gates, 128), (gates,), (gates,)]
        weights += [TensorSpec(f"w{index}.{len(weights) + i}", shape) for i, shape in enumerate(shapes)]
    stack = layer(work, [TensorSpec("x", (10, 16, 64))], weights, TensorSpec("y", (10, 16, 256)))
    assert checked(bench, "cudnn_legacy", [replace(stack, outputs=(TensorSpec("y", (10, 16, 256)),))], dtype)


@pytest.mark.parametrize("module", ["cudnn_graph", "cublaslt"])
@pytest.mark.parametrize("dtype", [DataType.BF16, DataType.FP32], ids=str)
def test_a_name_brings_back_the_same_kernels(bench, module, dtype):
    from headroom.measure.cuda.graph_nodes import kernels_of
    from headroom.measure.cuda.replay import CudaPlayer

    player = CudaPlayer()
    player.renew()
    task = Task(Chain.of(CONVOLUTIONS["one tap"]), dtype, "all")
    backend: Any = library(module)
    operands = bench.operands(task)
    compared = 0
    for candidate, program in programs(backend, task, operands):
        program.launch()
        again = backend.candidate(task, bench.operands(task), candidate.implementation)
        assert again.implementation == candidate.implementation
        second = again.build()
        second.launch()
        assert kernels_of(player.capture(program.launch)) == kernels_of(player.capture(second.launch))
        compared += 1
        if compared == 12:
            break
    assert compared


@pytest.mark.parametrize("module", ["cudnn_graph", "cublaslt"])
def test_strict_fp32_runs_no_tensor_core_and_is_as_exact_as_it_says(bench, module):
    layers = CONVOLUTIONS["one tap"]
    task = Task(Chain.of(layers), DataType.FP32, "all")
    operands = bench.operands(task)
    errors = [
        bench.check(program, task, operands).relative_error for _, program in programs(library(module), task, operands)
    ]
    assert errors
    # tf32 keeps 10 bits of each factor: it errs by more than 1e-4 here.
    assert max(errors) < 1e-5
