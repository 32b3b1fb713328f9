"""Question 7: the gains of several changes together."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

import headroom as hr
from advise.cases import case_from, case_of
from builders import H200, add, batch_norm, conv, fork, graph, relu, timed, unknown
from headroom.advise.assemble import assemble_case
from headroom.advise.bounds import lower_bounds
from headroom.advise.joint import Gain, Joint, joint_bound
from headroom.advise.questions.answer import Waterfall
from headroom.advise.questions.together import together
from headroom.advise.stored import measurements_of
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.store.default import open_for_reading
from headroom.store.rows import Implementation
from measured_rows import Rows, row, run, timings

ROOT = Path(__file__).resolve().parents[2]

STEM, LEFT, RIGHT, JOIN = fork().layers
LEFT_RELU = relu("act", "left")


def branches() -> Graph:
    """A stem, a convolution with its activation beside another convolution, and their sum, which no kernel takes in."""
    return graph(STEM, LEFT, LEFT_RELU, RIGHT, add("join", "act", "right"), outputs=["act", "right", "join"])


def rows(*runs: object, default_us: float = 0.0) -> Rows:
    """Measured: 20, 50 + 20 (60 as one kernel), 40 and 10 us; PyTorch's default adds ``default_us`` on the left."""
    join = add("join", "act", "right")
    known = timings(
        ([STEM], row(20.0)), ([LEFT], row(50.0)), ([LEFT_RELU], row(20.0)), ([RIGHT], row(40.0)), ([join], row(10.0)),
        ([LEFT, LEFT_RELU], row(60.0)),
    )  # fmt: skip
    picked = row(50.0 + default_us, implementation=Implementation("torch", "conv2d", "nchw"))
    return Rows(known, list(runs), others_tried={Chain.of([LEFT]).digest: [picked]})  # type: ignore[arg-type]


def waterfall(model: Graph, known: Rows) -> Waterfall:
    (chart,) = together(case_of(model, known)).charts
    assert isinstance(chart, Waterfall)
    return chart


def test_nothing_changed_is_the_sum_of_the_layers() -> None:
    assert joint_bound(case_of(branches(), rows()), ()).time_us == pytest.approx(140.0)


def test_each_change_alone() -> None:
    case = case_of(branches(), rows(default_us=15.0))
    assert joint_bound(case, ()).time_us == pytest.approx(155.0)
    assert joint_bound(case, {Gain.ALGORITHMS}).time_us == pytest.approx(140.0)
    assert joint_bound(case, {Gain.FUSION}).time_us == pytest.approx(145.0)
    assert joint_bound(case, {Gain.PARALLEL}).time_us == pytest.approx(115.0)


def test_what_is_off_the_critical_path_saves_nothing_together() -> None:
    case = case_of(branches(), rows(default_us=15.0))
    together_us = joint_bound(case, {Gain.ALGORITHMS, Gain.FUSION, Gain.PARALLEL}).time_us
    assert together_us == pytest.approx(20.0 + 60.0 + 10.0)
    alone = sum(155.0 - joint_bound(case, {gain}).time_us for gain in (Gain.ALGORITHMS, Gain.FUSION, Gain.PARALLEL))
    assert alone == pytest.approx(65.0)
    assert 155.0 - together_us == pytest.approx(65.0)
    # A slower right branch is the path: what the left one saves is then nothing.
    slow = timings(([STEM], row(20.0)), ([LEFT], row(50.0)), ([LEFT_RELU], row(20.0)), ([RIGHT], row(70.0)),
                   ([add("join", "act", "right")], row(10.0)), ([LEFT, LEFT_RELU], row(60.0)))  # fmt: skip
    case = case_of(branches(), Rows(slow))
    assert joint_bound(case, {Gain.FUSION, Gain.PARALLEL}).time_us == joint_bound(case, {Gain.PARALLEL}).time_us


def test_a_fused_kernel_starts_when_all_that_it_reads_is_there() -> None:
    """The residual comes late: fusing the sum into the early convolution must not let it run before."""
    early, late = conv("early", "x"), conv("late", "x", channels=32)
    total = add("sum", "early", "late")
    known = timings(([early], row(30.0)), ([late], row(100.0)), ([total], row(40.0)), ([early, total], row(32.0)))
    case = case_of(graph(early, late, total), Rows(known))
    assert joint_bound(case, {Gain.FUSION, Gain.PARALLEL}).time_us == pytest.approx(132.0)


def test_a_schedule_does_without_a_fusion_that_would_make_a_branch_wait() -> None:
    """The sum fits into the early convolution, which would then begin after the late one."""
    early, late = conv("early", "x"), conv("late", "x", channels=32)
    total = add("sum", "early", "late")
    known = timings(([early], row(60.0)), ([late], row(100.0)), ([total], row(10.0)), ([early, total], row(61.0)))
    case = case_of(graph(early, late, total), Rows(known))
    assert joint_bound(case, {Gain.FUSION}).time_us == pytest.approx(161.0)
    assert joint_bound(case, {Gain.FUSION, Gain.PARALLEL}).time_us == pytest.approx(110.0)


def test_more_changes_never_give_a_higher_bound() -> None:
    joint = Joint(case_of(branches(), rows(run("eager", 400.0), default_us=15.0), DataType.BF16))
    for gain in joint.gains:
        others = [other for other in joint.gains if other is not gain]
        assert joint.bound(joint.gains).time_us <= joint.bound(others).time_us


def test_no_set_of_changes_is_under_one_that_holds_it() -> None:
    """On real rows, in a type that tensor cores lack and in one that they have."""
    graph = hr.load(ROOT / "examples" / "resnet50.onnx", batch=1)
    for dtype in (DataType.FP32, DataType.BF16):
        with open_for_reading(None) as store:
            joint = Joint(assemble_case(graph, H200, dtype, "warm", measurements_of(store, graph, H200, dtype, "warm")))
            bounds = {frozenset(s): joint.bound(s).time_us for n in range(6) for s in combinations(Gain, n)}
        for gains, time_us in bounds.items():
            assert all(bounds[gains | {gain}] <= time_us * (1 + 1e-9) for gain in Gain)


def test_no_schedule_is_faster_than_light() -> None:
    model = timed(fork(), 1.0, 1.0, 1.0, 1.0, floor_us=1.0)
    case = case_from(model)
    assert joint_bound(case, {Gain.PARALLEL}).time_us >= lower_bounds(model).speed_of_light_us


def test_tensor_cores_are_a_change_of_type_for_wider_ones_alone() -> None:
    model = branches()
    assert Joint(case_of(model, dtype=DataType.FP32)).tensor_type is DataType.BF16
    assert Gain.TENSOR_CORES in Joint(case_of(model, dtype=DataType.TF32)).gains
    assert Gain.TENSOR_CORES not in Joint(case_of(model, dtype=DataType.BF16)).gains
    case = case_of(model, dtype=DataType.FP32)
    bf16 = lower_bounds(case.other_dtypes[DataType.BF16])
    assert joint_bound(case, {Gain.TENSOR_CORES}).time_us == pytest.approx(bf16.sequential_us)


def test_the_waterfall_falls_from_the_measured_run_to_the_joint_bound() -> None:
    chart = waterfall(branches(), rows(run("eager", 400.0), default_us=15.0))
    assert chart.steps == (
        ("measured with eager", 400.0),
        ("nothing beside the layers", pytest.approx(155.0)),
        ("the fastest implementations", pytest.approx(140.0)),
        ("layers fused", pytest.approx(130.0)),
        ("independent layers side by side", pytest.approx(90.0)),
    )


def test_a_run_that_does_better_already_takes_no_step_up() -> None:
    answer = together(case_of(branches(), rows(run("compile", 135.0), default_us=15.0)))
    (chart,) = answer.charts
    assert [name for name, _ in chart.steps] == [
        "measured with compile",
        "layers fused",
        "independent layers side by side",
    ]
    assert (
        "That run makes some of these changes already: layer after layer, as PyTorch picks, it would take 155 µs"
        in (answer.sentence)
    )


def test_without_a_run_it_starts_from_the_layers_and_says_so() -> None:
    answer = together(case_of(branches(), rows(default_us=15.0)))
    assert answer.sentence.startswith("From 155 µs (layer after layer, as PyTorch picks) no lower than 90.0 µs ± ")
    assert "--profile" in answer.needs


def test_what_the_framework_adds_stays_until_it_is_changed() -> None:
    case = case_of(branches(), rows(run("eager", 400.0), default_us=15.0))
    assert joint_bound(case, {Gain.ALGORITHMS}).time_us == pytest.approx(385.0)
    assert joint_bound(case, {Gain.FRAMEWORK}).time_us == pytest.approx(155.0)


def test_a_model_without_times_has_no_bound() -> None:
    answer = together(case_from(timed(graph(unknown("u", "x")), None)))
    assert answer.sentence.startswith("No layer of this model has a time")
    assert answer.charts == ()


def test_a_model_at_its_bound_has_nothing_left() -> None:
    alone = conv("c", "x")
    answer = together(case_of(graph(alone), Rows(timings(([alone], row(50.0))), [run("cuda-graph", 50.0)])))
    assert answer.sentence.startswith("Nothing is left: 50.0 µs measured with cuda-graph")


def test_copies_that_a_neighbour_does_without_are_gone_when_fused() -> None:
    case = case_of(graph(conv("c", "x"), batch_norm("n", "c"), relu("r", "n")))
    assert joint_bound(case, {Gain.FUSION}).time_us == pytest.approx(case.bounds.fused_us)
    assert replace(case, latency_us=None) == case
