"""The PyTorch backends and the registry: which implementations there are, and that each computes the reference."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import pytest
import torch

from headroom.graph.tensor import DataType
from headroom.graph.work import (
    Attention,
    Convolution,
    Elementwise,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Reduction,
    Softmax,
)
from headroom.measure import backends
from headroom.measure.backends.inductor import InductorBackend
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.pytorch import TorchBackend
from headroom.measure.bench import UnsupportedError
from headroom.measure.cuda.reference import Reference
from headroom.store.rows import Implementation
from measure_cuda.making import layer, operands_for, task_of

IMAGE = (2, 8, 9, 7)
SMALL = (2, 4, 9, 7)
CONV = layer(
    Convolution(2, 8, 4, (9, 7), (9, 7), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    [IMAGE], [SMALL], [(4, 8, 3, 3), (4,)], "x w b a",
)  # fmt: skip
RELU = layer(Elementwise("relu", 504, 1, True), [SMALL], [SMALL], names="a y")
SWISH = layer(Elementwise("swish", 504, 11, True), [SMALL], [SMALL], names="a y")
LINEAR = layer(Matmul(10, 3, 4), [(2, 5, 4)], [(2, 5, 3)], [(3, 4), (3,)])
POOL = layer(Pooling("max", 240, (3, 3), (2, 2)), [IMAGE], [(2, 8, 5, 4)])
ATTENTION = layer(Attention(2, 4, 8, 8, 16, 16, 4), [(2, 4, 8, 16)] * 3, [(2, 4, 8, 16)])


def named(backend, *layers, dtype: DataType = DataType.BF16, plans: str = "all") -> list[Implementation]:
    task = task_of(*layers, dtype=dtype, plans=plans)
    return [candidate.implementation for candidate in backend.candidates(task, operands_for(*layers, dtype=dtype))]


def test_a_convolution_runs_as_pytorch_chooses_and_as_its_search_does_in_both_layouts() -> None:
    assert named(TorchBackend(), CONV) == [
        Implementation("torch", "conv2d", "nhwc"),
        Implementation("torch", "conv2d benchmark", "nhwc"),
        Implementation("torch", "conv2d", "nchw"),
        Implementation("torch", "conv2d benchmark", "nchw"),
    ]
    assert [i.name for i in named(TorchBackend(), CONV, plans="heuristic")] == ["conv2d", "conv2d"]


def test_other_layers_are_called_what_they_do() -> None:
    assert named(TorchBackend(), LINEAR, dtype=DataType.TF32) == [Implementation("torch", "linear", "", "tf32")]
    assert named(TorchBackend(), POOL, dtype=DataType.TF32)[0] == Implementation("torch", "max", "nhwc", "fp32")
    assert [i.name for i in named(TorchBackend(), ATTENTION)] == [
        "attention flash", "attention cudnn", "attention efficient", "attention math",
    ]  # fmt: skip
    assert {i.name for i in named(TorchBackend(), CONV, RELU)} == {"eager"}


def test_layouts_are_tried_where_tensors_have_channels_and_space() -> None:
    def tried(made):
        return layouts_of(task_of(made))

    both = ("nhwc", "nchw")
    assert tried(CONV) == tried(POOL) == tried(RELU) == both
    assert tried(LINEAR) == tried(ATTENTION) == ("",)
    assert tried(layer(Softmax(126, 8), [IMAGE], [IMAGE])) == both
    assert tried(layer(Softmax(144, 7), [IMAGE], [IMAGE])) == ("",)
    assert tried(layer(Normalization("layer", 1008, 7), [IMAGE], [IMAGE])) == ("",)
    assert tried(layer(Normalization("batch", 1008), [IMAGE], [IMAGE])) == both
    assert tried(layer(Movement("transpose", 1008, axes=(0, 2, 3, 1)), [IMAGE], [(2, 9, 7, 8)])) == ("",)
    assert tried(layer(Movement("concat", 2016), [IMAGE, IMAGE], [(2, 16, 9, 7)])) == both
    assert tried(layer(Elementwise("relu", 24), [(4, 6)], [(4, 6)])) == ("",)


@pytest.mark.parametrize("layers", [(CONV,), (CONV, RELU), (CONV, SWISH), (LINEAR,), (POOL,), (ATTENTION,)], ids=len)
@pytest.mark.parametrize("dtype", [DataType.FP32, DataType.TF32, DataType.BF16])
def test_every_implementation_computes_the_reference(layers, dtype: DataType) -> None:
    operands = operands_for(*layers, dtype=dtype)
    reference = Reference(operands.task.chain, operands.sources, dtype)
    passed = 0
    for backend in (TorchBackend(), InductorBackend(compiler="eager")):
        for candidate in backend.candidates(operands.task, operands):
            try:
                program = candidate.build()
            except UnsupportedError:
                assert "attention" in candidate.implementation.name  # kernels that a CPU does not have
                continue
            program.launch()
            assert reference.check(program.outputs()).passed
            assert program.workspace_bytes == 0
            passed += 1
    assert passed


def test_outputs_keep_the_layout_of_the_operands() -> None:
    operands = operands_for(CONV)
    last, *_ = TorchBackend().candidates(operands.task, operands)
    program = last.build()
    assert program.outputs()[0].is_contiguous(memory_format=torch.channels_last)


def test_running_a_program_leaves_pytorchs_settings_as_they_were() -> None:
    before = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    operands = operands_for(CONV, dtype=DataType.TF32)
    for candidate in TorchBackend().candidates(operands.task, operands):
        candidate.build().launch()
    after = torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    assert before == after


def test_the_compiler_is_left_out_of_library_calls_and_of_quick_runs() -> None:
    assert (
        named(InductorBackend(), CONV) == named(InductorBackend(), LINEAR) == named(InductorBackend(), ATTENTION) == []
    )
    assert named(InductorBackend(), POOL, plans="heuristic") == []
    assert [i.layout for i in named(InductorBackend(), POOL)] == ["nhwc", "nchw"]
    # What a compiler adds to a convolution is an epilogue: one layout tells it.
    assert [i.layout for i in named(InductorBackend(), CONV, SWISH)] == ["nhwc"]
    # A kernel of the libraries does all of it.
    assert named(InductorBackend(), CONV, RELU) == []


def test_what_a_product_in_fp8_cannot_do_is_declined() -> None:
    operands = operands_for(POOL, dtype=DataType.FP8)
    with pytest.raises(UnsupportedError, match="products alone in fp8"):
        next(TorchBackend().candidates(operands.task, operands)).build()


def test_a_missing_library_costs_its_own_backend_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    present = ModuleType("present")
    present.backend = TorchBackend
    monkeypatch.setitem(sys.modules, f"{backends.__name__}.present", present)
    monkeypatch.setitem(sys.modules, "triton", None)
    found = backends.load(["no_such_library", "inductor", "present", "pytorch"])
    assert [backend.name for backend in found.backends] == ["torch", "torch"]
    assert list(found.missing) == ["no_such_library", "inductor"]
    assert "triton" in found.missing["inductor"]


def test_a_mean_over_space_is_one_call_in_either_layout() -> None:
    made = layer(Reduction("reducemean", 1008, 16), [IMAGE], [(2, 8, 1, 1)])
    assert [i.name for i in named(TorchBackend(), made)] == ["reducemean", "reducemean"]


def test_the_search_for_algorithms_runs_in_a_thread_that_knows_no_earlier_choice() -> None:
    ran: dict[str, int] = {}
    task = task_of(CONV)
    for candidate in TorchBackend().candidates(task, operands_for(CONV)):
        program = candidate.build()
        run, name = program.run, candidate.implementation.name
        program.run = lambda run=run, name=name: ran.update({name: threading.get_ident()}) or run()
        program.launch()
    assert ran["conv2d"] == threading.get_ident() != ran["conv2d benchmark"]
