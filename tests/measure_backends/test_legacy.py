"""What cuDNN's older functions are told of a layer, seen by a library that stands in for it."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise, Normalization, Pooling, Recurrent, Reduction, Softmax
from headroom.measure.backends.cudnn_legacy import CudnnLegacy
from headroom.measure.backends.legacy.forms import Form, Settings, forms_of
from headroom.measure.bench import UnsupportedError
from headroom.measure.task import Task
from measure_backends.stand_ins import layer, operands, pointwise

Shape = tuple[int, ...]


class StandIn:
    """Takes every call and keeps its arguments."""

    handle = ctypes.c_void_p(1)

    def __init__(self) -> None:
        self.calls: dict[str, tuple[Any, ...]] = {}

    def call(self, function: str, *arguments: Any) -> None:
        self.calls[function] = arguments


def of_one(work: Any, before: Shape, after: Shape) -> Layer:
    return Chain.of([layer(work, [TensorSpec("x", before)], [], TensorSpec("y", after))]).anchor


def settings_of(form: Form, library: StandIn) -> Settings:
    described = SimpleNamespace(value=ctypes.c_void_p(2))
    return form.prepare(library, described, described)  # type: ignore[arg-type]


def pooling(function: str, before: Shape, after: Shape, window: Shape, stride: Shape) -> Layer:
    return of_one(Pooling(function, TensorSpec("", after).elements, window, stride), before, after)


def test_pooling_finds_its_padding_from_the_shapes():
    library = StandIn()
    (form,) = forms_of(pooling("max", (2, 8, 13, 12), (2, 8, 7, 6), (3, 3), (2, 2)), "nhwc")
    settings_of(form, library)
    _, mode, _, rank, window, padding, stride = library.calls["cudnnSetPoolingNdDescriptor"]
    assert (mode, rank, list(window), list(padding), list(stride)) == (0, 2, [3, 3], [1, 1], [2, 2])
    assert (form.x, form.y) == ((2, 8, 13, 12), (2, 8, 7, 6))


def test_pooling_over_one_dimension_gets_a_second_one():
    library = StandIn()
    (form,) = forms_of(pooling("average", (2, 8, 12), (2, 8, 6), (2,), (2,)), "nchw")
    settings_of(form, library)
    _, mode, _, _, window, padding, stride = library.calls["cudnnSetPoolingNdDescriptor"]
    assert (mode, list(window), list(padding), list(stride)) == (1, [1, 2], [0, 0], [1, 2])
    assert form.x == (2, 8, 1, 12)


def test_pooling_that_pads_one_end_more_is_refused():
    with pytest.raises(UnsupportedError, match="both ends"):
        forms_of(pooling("max", (1, 4, 6, 6), (1, 4, 7, 7), (3, 3), (1, 1)), "nhwc")


@pytest.mark.parametrize(
    ("shape", "work", "dims"),
    [
        ((64, 1000), Softmax(64, 1000), (64, 1000, 1, 1)),
        ((2, 3, 5, 7), Softmax(30, 7), (30, 7, 1, 1)),
        ((2, 5, 3, 4), Softmax(24, 5), (2, 5, 12, 1)),
        ((1, 10, 2, 3), Softmax(1, 60), (1, 60, 1, 1)),
    ],
    ids=["rows", "last dimension", "channels", "flattened"],
)
def test_softmax_runs_along_the_dimension_of_a_rows_length(shape, work, dims):
    (form,) = forms_of(of_one(work, shape, shape), "nhwc")
    assert form.x == form.y == dims
    assert form.layout == ""


@pytest.mark.parametrize("after", [(2, 8, 1, 1), (2, 8)], ids=["kept", "dropped"])
def test_a_reduction_keeps_its_dimensions_as_one(after):
    library = StandIn()
    (form,) = forms_of(of_one(Reduction("reducemean", 480, 16), (2, 8, 6, 5), after), "nhwc")
    assert form.y == (2, 8, 1, 1)
    settings = settings_of(form, library)
    assert settings.workspace_bytes == 0
    assert library.calls["cudnnSetReduceTensorDescriptor"][1] == 5


def test_local_response_and_activations_have_their_functions():
    shape = (1, 8, 5, 5)
    library = StandIn()
    (form,) = forms_of(of_one(Normalization("local_response", 200, 5), shape, shape), "nchw")
    settings_of(form, library)
    assert library.calls["cudnnSetLRNDescriptor"][1].value == 5
    (form,) = forms_of(of_one(Elementwise("clip", 200, activation=True), shape, shape), "nchw")
    settings_of(form, library)
    assert library.calls["cudnnSetActivationDescriptor"][3].value == 6.0


def test_recurrent_layers_have_one_candidate_per_algorithm():
    work = Recurrent("lstm", 2, 5, 8, 16)
    weights = [TensorSpec("w", (64, 8)), TensorSpec("r", (64, 16))]
    chain = Chain.of([layer(work, [TensorSpec("x", (5, 2, 8))], weights, TensorSpec("y", (5, 2, 16)))])
    listed = CudnnLegacy().candidates(Task(chain, DataType.TF32), operands(chain))
    names = {(candidate.implementation.name, candidate.implementation.math) for candidate in listed}
    assert names == {
        (f"cudnnRNNForward {algorithm}", "tf32")
        for algorithm in ("standard", "persist static", "persist dynamic", "persist static small h")
    }


def test_each_layout_is_a_candidate():
    chain = Chain.of([pooling("max", (2, 8, 12, 12), (2, 8, 6, 6), (2, 2), (2, 2))])
    task, given = Task(chain, DataType.BF16), operands(chain)
    backend = CudnnLegacy()
    listed = [candidate.implementation for candidate in backend.candidates(task, given)]
    assert [(i.name, i.layout) for i in listed] == [
        ("cudnnPoolingForward max", "nhwc"), ("cudnnPoolingForward max", "nchw")
    ]  # fmt: skip


@pytest.mark.parametrize("work", [Normalization("local_response", 400, 5), Reduction("reducemean", 400, 16)], ids=repr)
def test_functions_that_take_no_bf16_are_not_offered_for_it(work):
    shape = (2, 8, 5, 5)
    after = shape if isinstance(work, Normalization) else shape[:2]
    chain = Chain.of([layer(work, [TensorSpec("x", shape)], [], TensorSpec("y", after))])
    assert not list(CudnnLegacy().candidates(Task(chain, DataType.BF16), operands(chain)))
    assert list(CudnnLegacy().candidates(Task(chain, DataType.FP16), operands(chain)))


def test_chains_and_fp8_have_none():
    relu = layer(Elementwise("relu", 8), [TensorSpec("x", (8,))], [], TensorSpec("y", (8,)))
    fused = Chain.of([relu, pointwise("sigmoid", relu, "z")])
    assert not list(CudnnLegacy().candidates(Task(fused, DataType.BF16), operands(fused)))
    single = Chain.of([relu])
    assert not list(CudnnLegacy().candidates(Task(single, DataType.FP8), operands(single)))
