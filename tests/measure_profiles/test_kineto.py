"""PyTorch's traces: every launch, the call it came from, the step it belongs to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from headroom.measure.profiles.profile import LaunchKind, Operand, Profile, Step
from headroom.measure.profiles.reading import read_profile
from measure_profiles.kineto_samples import KINETO_2021, KINETO_2022
from measure_profiles.traces import kernel, operator, profile, runtime, span, step
from profiles import NAMES, raw_trace, recorded

EAGER = [name for name in NAMES if not name.endswith("graph")]


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_kernel_copy_and_fill_of_a_recorded_trace_is_in_a_step(name: str) -> None:
    wanted = Counter(
        (event["name"], event["dur"])
        for event in raw_trace(name)["traceEvents"]
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    )
    steps = recorded(name).steps
    assert len(steps) == 2
    assert Counter((launch.name, launch.duration_us) for step in steps for launch in step.launches) == wanted


def test_two_steps_of_the_same_network_launch_the_same(name: str) -> None:
    first, second = recorded(name).steps
    assert [launch.name for launch in first.launches] == [launch.name for launch in second.launches]
    assert [(call.name, call.operands) for call in first.calls] == [(call.name, call.operands) for call in second.calls]


def test_a_recorded_trace_tells_its_gpu_and_nothing_was_left_out(name: str) -> None:
    read = recorded(name)
    assert (read.recorder, read.gpu, read.title, read.notes) == ("pytorch", "NVIDIA H200", f"{name}.json.gz", ())


def test_calls_and_launches_stand_in_the_order_of_their_start(name: str) -> None:
    for each in recorded(name).steps:
        assert list(each.calls) == sorted(each.calls, key=lambda call: call.start_us)
        assert list(each.launches) == sorted(each.launches, key=lambda launch: launch.start_us)


def test_a_call_lies_within_its_parent(name: str) -> None:
    for each in recorded(name).steps:
        for call in each.calls:
            if call.parent is not None:
                parent = each.calls[call.parent]
                assert parent.start_us <= call.start_us
                assert call.start_us + call.duration_us <= parent.start_us + parent.duration_us + 0.0025
                assert parent.thread == call.thread


@pytest.mark.parametrize("name", EAGER)
def test_a_kernel_of_an_eager_run_knows_the_innermost_operator_that_launched_it(name: str) -> None:
    """Checked against the profiler's own numbering, which the reader may also do without."""
    raw = raw_trace(name)["traceEvents"]
    operators = {event["args"]["External id"]: event["name"] for event in raw if event.get("cat") == "cpu_op"}
    wanted = Counter(
        (event["name"], operators[event["args"]["External id"]]) for event in raw if event.get("cat") == "kernel"
    )
    found = Counter(
        (launch.name, each.calls[launch.call].name)
        for each in recorded(name).steps
        for launch in each.launches
        if launch.kind is LaunchKind.KERNEL and launch.call is not None
    )
    assert found == wanted


@pytest.mark.parametrize("name", EAGER)
def test_without_the_profilers_numbering_nesting_in_time_finds_the_same_operators(name: str, tmp_path: Path) -> None:
    raw = raw_trace(name)
    for event in raw["traceEvents"]:
        event.get("args", {}).pop("External id", None)
    read = profile(tmp_path, *raw["traceEvents"])
    assert [_links(each) for each in read.steps] == [_links(each) for each in recorded(name).steps]


def _links(of: Step) -> list[int | None]:
    return [launch.call for launch in of.launches]


def test_a_convolution_shows_its_operands_and_what_it_called() -> None:
    first = recorded("resnet18-1-default").steps[0]
    outer, *_ = first.calls
    assert outer.name == "aten::conv2d"
    assert outer.operands[:2] == (
        Operand((1, 3, 224, 224), "float32", (150528, 50176, 224, 1)),
        Operand((64, 3, 7, 7), "float32", (147, 49, 7, 1)),
    )
    assert outer.operands[2] == Operand()
    assert outer.operands[3] == Operand(dtype="ScalarList", value="[2, 2]")
    chain, call = [], first.launches[0].call
    while call is not None:
        chain.append(first.calls[call].name)
        call = first.calls[call].parent
    assert chain == ["aten::cudnn_convolution", "aten::_convolution", "aten::convolution", "aten::conv2d"]


def test_a_kernel_shows_its_grid_registers_and_when_the_host_asked_for_it() -> None:
    launch = recorded("resnet18-1-default").steps[0].launches[0]
    assert (launch.grid, launch.block, launch.registers, launch.shared_bytes) == ((392, 2, 1), (8, 8, 1), 64, 2304)
    assert launch.launched_us is not None
    assert launch.launched_us < launch.start_us
    assert (launch.stream, launch.device, launch.graph) == (7, 0, False)


def test_a_list_of_tensors_gives_an_operand_for_each() -> None:
    joins = [call for call in recorded("googlenet-1-default").typical.calls if call.name == "aten::cat"]
    assert len(joins) == 9
    assert [operand.dims for operand in joins[0].operands[:4]] == [(1, n, 28, 28) for n in (64, 128, 32, 32)]
    assert joins[0].operands[4].value == "1"


def test_bf16_operands_are_named_as_a_graph_names_them() -> None:
    (first, *_) = [call for call in recorded("vit_b_16-1-bf16").typical.calls if call.name == "aten::conv2d"]
    assert first.operands[0].dtype == "bfloat16"


def test_a_replayed_graph_gives_every_step_its_own_kernels_although_they_run_later() -> None:
    first, second = recorded("resnet18-1-bf16_graph").steps
    assert len(first.launches) == len(second.launches) == 162
    assert all(launch.graph and launch.call is None for launch in (*first.launches, *second.launches))
    assert {launch.launched_us for launch in second.launches} == {second.launches[0].launched_us}
    assert second.launches[-1].end_us > second.start_us + second.duration_us


def test_a_fill_tells_its_bytes() -> None:
    fills = [launch for launch in recorded("resnet18-1-default").typical.launches if launch.kind is LaunchKind.FILL]
    assert fills
    assert all(launch.bytes is not None and launch.bytes > 0 for launch in fills)


def test_times_count_from_the_first_event_and_keep_their_nanoseconds(name: str) -> None:
    read = recorded(name)
    assert 0 <= read.steps[0].start_us < 1e6
    assert all(launch.start_us == round(launch.start_us, 3) for launch in read.steps[0].launches)


def _with_waits(folder: Path, *more: dict[str, object]) -> Profile:
    return profile(
        folder,
        operator("aten::item", 0, 50, 1),
        operator("aten::_local_scalar_dense", 5, 40, 2),
        runtime("cudaMemcpyAsync", 6, 4, 11, External_id=2),
        runtime("cudaStreamSynchronize", 12, 30, 12, External_id=2),
        span("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 20, 2, 7, correlation=11, External_id=2, bytes=4),
        *more,
    )


def test_a_wait_of_the_host_names_the_call_that_waits(tmp_path: Path) -> None:
    (only,) = _with_waits(tmp_path).steps
    (wait,) = only.waits
    assert (wait.name, wait.duration_us) == ("cudaStreamSynchronize", 30)
    assert wait.call is not None
    assert only.calls[wait.call].name == "aten::_local_scalar_dense"
    (copy,) = only.launches
    assert (copy.kind, copy.bytes, copy.call) == (LaunchKind.COPY, 4, 1)


def test_calls_beside_the_first_thread_are_tied_though_the_runtime_names_it_otherwise(tmp_path: Path) -> None:
    events = (
        operator("aten::item", 0, 50, 1, tid=1311),
        operator("aten::_local_scalar_dense", 5, 40, 2, tid=1311),
        runtime("cudaMemcpyAsync", 6, 4, 11, tid=838, External_id=2),
        runtime("cudaStreamSynchronize", 12, 30, 12, tid=838, External_id=2),
        span("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 20, 2, 7, correlation=11, External_id=2, bytes=4),
    )
    (only,) = profile(tmp_path, *events).steps
    assert [each.call for each in (*only.waits, *only.launches)] == [1, 1]


def test_the_wait_that_the_profiler_ends_with_is_not_the_models(tmp_path: Path) -> None:
    final = runtime("cudaDeviceSynchronize", 100, 5, 13)
    (only,) = _with_waits(tmp_path, final).steps
    assert [wait.name for wait in only.waits] == ["cudaStreamSynchronize"]
    assert only.duration_us == 50
    own = runtime("cudaDeviceSynchronize", 80, 5, 14)
    (only,) = _with_waits(tmp_path, own, final).steps
    assert [wait.start_us for wait in only.waits] == [12, 80]


def test_a_run_in_which_nobody_marked_steps_is_one_step_and_says_so(tmp_path: Path) -> None:
    raw = [event for event in raw_trace("resnet18-1-default")["traceEvents"] if event["name"] != "ProfilerStep"]
    read = profile(tmp_path, *raw)
    (only,) = read.steps
    assert len(only.launches) == sum(len(each.launches) for each in recorded("resnet18-1-default").steps)
    assert "nobody marked the steps" in read.notes[0]


def test_a_launch_belongs_to_the_step_that_asked_for_it_not_to_the_one_it_runs_in(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        step(1, 0, 10),
        step(2, 10, 10),
        operator("aten::mm", 1, 5, 1),
        operator("aten::mm", 11, 5, 2),
        runtime("cudaLaunchKernel", 2, 1, 5, External_id=1),
        runtime("cudaLaunchKernel", 12, 1, 6, External_id=2),
        kernel("first", 13, 10, 5, External_id=1),
        kernel("second", 23, 10, 6, External_id=2),
    )
    assert [[launch.name for launch in each.launches] for each in read.steps] == [["first"], ["second"]]
    assert [each.name for each in read.steps] == ["ProfilerStep#1", "ProfilerStep#2"]


def test_kernels_before_the_first_mark_are_warm_up_and_an_empty_last_mark_is_no_step(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        runtime("cudaLaunchKernel", 0, 1, 4),
        kernel("warm-up", 3, 1, 4),
        step(1, 10, 10),
        runtime("cudaLaunchKernel", 12, 1, 5),
        kernel("counted", 14, 1, 5),
        step(2, 20, 1),
    )
    assert [[launch.name for launch in each.launches] for each in read.steps] == [["counted"]]


def test_threads_nest_apart_and_streams_and_devices_are_told(tmp_path: Path) -> None:
    properties = [{"id": 0, "name": "NVIDIA A"}, {"id": 1, "name": "NVIDIA B"}]
    read = profile(
        tmp_path,
        operator("forward", 0, 100, 1, tid=1),
        operator("beside", 10, 20, 2, tid=2),
        operator("within", 20, 20, 3, tid=1),
        runtime("cudaLaunchKernel", 12, 1, 5, tid=2),
        runtime("cudaLaunchKernel", 21, 1, 6, tid=1),
        kernel("one", 30, 5, 5, stream=20, device=1),
        kernel("two", 31, 5, 6, stream=7, device=1),
        deviceProperties=properties,
    )
    (only,) = read.steps
    assert [(call.name, call.parent) for call in only.calls] == [("forward", None), ("beside", None), ("within", 0)]
    assert [(launch.stream, launch.device, launch.call) for launch in only.launches] == [(20, 1, 1), (7, 1, 2)]
    assert read.gpu == "NVIDIA B"


def test_kernels_of_torch_compile_belong_to_the_call_that_carries_their_name(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        span("cpu_op", "Torch-Compiled Region: 0/0", 0, 100, External_id=1),
        span("user_annotation", "## Call CompiledFxGraph fabc ##", 10, 80, External_id=2),
        operator("triton_poi_fused_relu_0", 20, 10, 3),
        span("cuda_driver", "cuLaunchKernel", 22, 2, correlation=9, External_id=3),
        kernel("triton_poi_fused_relu_0", 40, 3, 9, External_id=3),
    )
    (only,) = read.steps
    assert only.launches[0].call == 2
    assert [call.parent for call in only.calls] == [None, 0, 1]


def test_modules_come_from_traced_python_one_within_the_other(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        span("python_function", "nn.Module: ResNet_0", 0, 100),
        span("python_function", "torch/nn/modules/conv.py(10): forward", 1, 90),
        span("python_function", "nn.Module: Conv2d_3", 5, 50),
        operator("aten::conv2d", 10, 20, 1),
        operator("aten::relu", 70, 20, 2),
    )
    assert [call.module for call in read.steps[0].calls] == ["ResNet_0.Conv2d_3", "ResNet_0"]


def test_marks_that_carry_a_modules_whole_path_give_that_path(tmp_path: Path) -> None:
    read = profile(
        tmp_path,
        span("user_annotation", "nn.Module: layer1", 0, 100),
        span("user_annotation", "nn.Module: layer1.conv2", 5, 50),
        operator("aten::conv2d", 10, 20, 1),
    )
    assert [(call.name, call.module) for call in read.steps[0].calls] == [("aten::conv2d", "layer1.conv2")]


def test_a_trace_of_2021_is_understood(tmp_path: Path) -> None:
    read = profile(tmp_path, *KINETO_2021["traceEvents"], computeProperties=KINETO_2021["computeProperties"])
    (only,) = read.steps
    assert read.gpu == "Tesla V100-DGXS-32GB"
    assert [(call.name, call.parent) for call in only.calls] == [
        ("aten::linear", None), ("aten::matmul", 0), ("aten::view", 1), ("aten::mm", 1), ("aten::empty", 3),
    ]  # fmt: skip
    (launch,) = only.launches
    assert (launch.name, launch.registers, launch.call, launch.stream) == ("volta_sgemm_128x32_nt", 55, None, 7)
    assert only.waits == ()


def test_an_external_id_that_only_repeats_the_correlation_names_no_operator(tmp_path: Path) -> None:
    read = profile(tmp_path, *KINETO_2022["traceEvents"])
    (only,) = read.steps
    (launch,) = only.launches
    assert launch.call is not None
    assert only.calls[launch.call].name == "aten::mm"
    assert {call.thread for call in only.calls} == {0, 1}
    # The numbers meet by chance: an operator of another time has the launch's.
    stranger = operator("aten::relu", 1666149715033300, 20, 2131433, tid=3914)
    (only,) = profile(tmp_path, *KINETO_2022["traceEvents"], stranger).steps
    assert only.launches[0].call is not None
    assert only.calls[only.launches[0].call].name == "aten::mm"


def test_calls_in_whole_microseconds_nest_although_one_seems_to_end_after_its_parent(tmp_path: Path) -> None:
    read = profile(tmp_path, operator("outer", 10, 5, 1), operator("inner", 12, 4, 2), operator("after", 15, 5, 3))
    assert [(call.name, call.parent) for call in read.steps[0].calls] == [
        ("outer", None),
        ("inner", 0),
        ("after", None),
    ]


def test_a_run_on_the_cpu_alone_is_calls_without_launches(tmp_path: Path) -> None:
    read = profile(tmp_path, operator("aten::mm", 0, 10, 1), deviceProperties=[])
    assert (read.gpu, len(read.steps[0].calls), read.steps[0].launches) == ("", 1, ())


def test_all_traces_of_the_h200_read_as_two_like_steps() -> None:
    """Twelve networks, eager and replayed, in fp32 and bf16, in both layouts."""
    folder = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "profiles"
    traces = sorted(folder.glob("*.json.gz"))
    assert len(traces) == 51
    for trace in traces:
        read = read_profile(trace)
        first, second = read.steps
        assert read.gpu == "NVIDIA H200"
        assert [launch.name for launch in first.launches] == [launch.name for launch in second.launches]
        replayed = "graph" in trace.name
        assert all(launch.graph == replayed == (launch.call is None) for launch in first.launches)
        assert bool(first.calls) != replayed
