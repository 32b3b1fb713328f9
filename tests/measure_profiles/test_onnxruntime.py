"""ONNX Runtime's profiles: runs, nodes and their inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headroom.errors import ProfileError
from headroom.measure.profiles.profile import Operand
from headroom.measure.profiles.reading import read_profile
from profiles import recorded

#: As published with the change that made CUDA builds record kernels (microsoft/onnxruntime, pull request 8406): the
#: kernel's record as it stands there, after its node.
CUDA_KERNEL = (
    '{"cat" : "Kernel","pid" :-1,"tid" :-1,"dur" :4,"ts" :6771333,"ph" : "X","name" :"BinaryElementWiseKernel",'
    '"args" : {"op_name" : "Add","stream" : "13","block_x" : "256","grid_x" : "1","grid_y" : "1","grid_z" : "1",'
    '"block_y" : "1","block_z" : "1"}}'
)


def node(name: str, operator: str, start_us: int, duration_us: int, **arguments: Any) -> dict[str, Any]:
    args = {"op_name": operator, "provider": "CUDAExecutionProvider", **arguments}
    return {
        "cat": "Node",
        "pid": 1,
        "tid": 1,
        "dur": duration_us,
        "ts": start_us,
        "ph": "X",
        "name": name,
        "args": args,
    }


def run(start_us: int, duration_us: int) -> dict[str, Any]:
    return {"cat": "Session", "pid": 1, "tid": 1, "dur": duration_us, "ts": start_us, "ph": "X", "name": "model_run"}


def written(folder: Path, *events: Any) -> Path:
    path = folder / "profile.json"
    path.write_text(json.dumps(list(events)))
    return path


@pytest.mark.parametrize(("network", "nodes"), [("squeezenet1_1", 40), ("resnet18", 25)])
def test_every_run_of_a_recorded_session_is_a_step_with_all_nodes(network: str, nodes: int) -> None:
    read = recorded(f"onnxruntime-{network}")
    assert (read.recorder, read.gpu, read.notes) == ("onnxruntime", "", ())
    assert [len(step.calls) for step in read.steps] == [nodes] * 3
    assert len({tuple(call.module for call in step.calls) for step in read.steps}) == 1
    for step in read.steps:
        spent_us = sum(call.duration_us for call in step.calls)
        assert 0.9 * step.duration_us < spent_us <= step.duration_us
        assert step.launches == ()


def test_a_blocked_convolution_tells_what_it_stands_for(tmp_path: Path) -> None:
    shapes = [{"float": [1, 64, 56, 56]}, {"float": [64, 1, 1, 1]}, {"float": [64]}]
    names = ("r8_bn_nchwc", "r10_mul_nchwc_token_3", "bn_nchwc", "r20_nchwc")
    nodes = (node(f"{name}_kernel_time", "Conv", at, 1, input_type_shape=shapes) for at, name in enumerate(names))
    calls = read_profile(written(tmp_path, run(0, 10), *nodes)).steps[0].calls
    assert [call.name for call in calls] == ["BatchNormalization", "Mul", "Conv", "Conv"]
    assert [len(call.operands) for call in calls] == [1, 1, 3, 3]


def test_a_node_tells_its_operator_its_name_and_its_inputs() -> None:
    first = recorded("onnxruntime-resnet18").steps[0].calls[0]
    assert first.name == "Conv"
    assert first.module == "/relu/Relu_output_0_nchwc"
    assert first.operands == (
        Operand((1, 3, 224, 224), "float32"),
        Operand((64, 3, 7, 7), "float32"),
        Operand((64,), "float32"),
    )


def test_a_kernel_belongs_to_the_node_before_it_in_the_file(tmp_path: Path) -> None:
    add = node("Add_0_kernel_time", "Add", 6771300, 20)
    other = node("Conv_1_kernel_time", "Conv", 6771330, 20)
    path = written(tmp_path, run(6771290, 100), add, json.loads(CUDA_KERNEL), other)
    (step,) = read_profile(path).steps
    (launch,) = step.launches
    assert (launch.name, launch.call, launch.stream) == ("BinaryElementWiseKernel", 0, 13)
    assert (launch.grid, launch.block, launch.duration_us) == ((1, 1, 1), (256, 1, 1), 4)


def test_a_kernel_of_another_operator_than_the_node_before_it_is_not_given_to_it(tmp_path: Path) -> None:
    conv = node("Conv_1_kernel_time", "Conv", 6771300, 20)
    (step,) = read_profile(written(tmp_path, run(6771290, 100), conv, json.loads(CUDA_KERNEL))).steps
    assert step.launches == ()


def test_a_node_that_holds_a_subgraph_is_the_parent_of_its_nodes(tmp_path: Path) -> None:
    inner = node("inner_kernel_time", "Add", 20, 10)
    outer = node("outer_kernel_time", "Loop", 10, 50)
    (step,) = read_profile(written(tmp_path, inner, outer, run(0, 100))).steps
    assert [(call.name, call.parent) for call in step.calls] == [("Loop", None), ("Add", 0)]


def test_fences_of_older_versions_are_no_nodes(tmp_path: Path) -> None:
    fence = node("Add_fence_before", "Add", 5, 1)
    (step,) = read_profile(written(tmp_path, fence, node("Add_kernel_time", "Add", 6, 2), run(0, 10))).steps
    assert len(step.calls) == 1


def test_a_session_that_never_ran_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"no node that ran; run the session"):
        read_profile(written(tmp_path, {"cat": "Session", "name": "model_loading_uri", "ph": "X", "ts": 0, "dur": 1}))
