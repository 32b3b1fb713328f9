"""Overlap is found where it is; its gain is promised only where the GPU has room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import H200, add, conv, fork, graph, layer, relu, timed, view
from executions import Scene, replayed
from headroom.advise.as_ran import as_ran, sm_share
from headroom.advise.bounds import lower_bounds
from headroom.advise.branches import parallel_regions
from headroom.advise.case import Case
from headroom.advise.overlap import overlap_of
from headroom.advise.questions.parallel import parallel
from headroom.advise.recorded import Recorded
from headroom.advise.streams import fork_and_join
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Elementwise
from headroom.measure.profiles.profile import Launch, LaunchKind

HALF, FULL = (66, 1, 1), (528, 1, 1)


def forked(grid: tuple[int, int, int], host_us: float = 1.0, right_stream: int = 7) -> Scene:
    built = Scene(fork(), host_us=host_us).run("stem", ("stem", 10.0), grid=FULL)
    built.run("left", ("left", 100.0), grid=grid).run("right", ("right", 80.0), grid=grid, stream=right_stream)
    return built.run("join", ("join", 10.0), grid=FULL)


def in_a_graph(built: Scene) -> Case:
    return replace(built.case(), execution=replayed(built.execution()))


def test_half_empty_branches_gain_and_full_ones_do_not() -> None:
    (finding,) = parallel(in_a_graph(forked(HALF))).findings
    assert finding.saves_us == pytest.approx(80.0 - H200.launch_us, rel=0.1)
    assert not parallel(in_a_graph(forked(FULL))).findings


def test_full_branches_are_said_to_leave_no_room() -> None:
    answer = parallel(in_a_graph(forked(FULL)))
    assert "nothing is gained" in answer.sentence
    assert answer.tables[0].rows[0][4] == pytest.approx(100.0)


def test_a_run_on_one_stream_has_no_overlap_and_one_on_two_has() -> None:
    apart, together = (forked(HALF, right_stream=stream).recorded() for stream in (7, 8))
    assert overlap_of(apart).time_us == 0.0
    found = overlap_of(together)
    assert found.time_us == pytest.approx(80.0, abs=10.0)
    assert {together.case.timed.graph.layers[i].name for i in found.layers} >= {"left", "right"}


def test_branches_that_overlap_already_are_not_advised_again() -> None:
    answer = parallel(forked(HALF, right_stream=8).case())
    assert not answer.findings
    assert "ran at the same time" in answer.sentence


def test_a_host_that_is_behind_hides_the_gain_and_the_answer_says_so() -> None:
    answer = parallel(forked(HALF, host_us=500.0).case())
    assert not answer.findings
    assert "only a CUDA graph" in answer.sentence
    assert answer.tables[0].rows[0][6] == pytest.approx(80.0 - H200.launch_us, rel=0.1)


def test_a_model_without_branches_says_so() -> None:
    chain = graph(conv("a", "x"), relu("b", "a"))
    model = timed(chain, 10.0, 10.0)
    answer = parallel(Case(model, lower_bounds(model)))
    assert "no independent layers" in answer.sentence
    assert not answer.tables


def test_the_code_forks_after_what_all_branches_read_and_names_their_modules() -> None:
    left = [conv("l0", "stem", module="block.left.conv"), relu("l1", "l0", module="block.left.act")]
    right = [conv("r0", "stem", channels=32, module="block.right.0")]
    model = timed(
        graph(relu("stem", "x"), *left, *right, add("join", "l1", "r0")), 1.0, 50.0, 60.0, 1.0, tail_utilization=0.2
    )
    (region,) = parallel_regions(model)
    assert [model.names(branch) for branch in region.fork.branches] == [("l0", "l1"), ("r0",)]
    code = fork_and_join(model, region.fork)
    assert "a0 = self.block.left(x)" in code
    assert "    a1 = self.block.right[0](x)" in code
    assert code.index("wait_stream(main)") < code.index("a0 =") < code.index("main.wait_stream(stream)")
    compile(code, "fork", "exec")


def test_a_branch_that_is_only_part_of_its_module_does_not_call_it() -> None:
    shortcut = [conv("r0", "stem", channels=32, module="block.downsample")]
    layers = [conv("l0", "stem", module="block.conv1"), relu("l1", "l0", module="block"), *shortcut]
    whole = graph(relu("stem", "x"), *layers, add("join", "l1", "r0"))
    model = timed(whole, 1.0, 50.0, 60.0, 1.0, tail_utilization=0.2)
    (region,) = parallel_regions(model)
    code = fork_and_join(model, region.fork)
    assert "a0 = branch_0(x)" in code  # self.block(x) would run the shortcut again
    assert "    a1 = self.block.downsample(x)" in code


def test_what_reads_all_branches_runs_after_the_join_though_work_without_time_lies_between() -> None:
    """Attention reads its queries, keys and values through bias adds that a run fused and gave no time."""
    widths = {"q": 64, "k": 32, "v": 16}
    products = [conv(f"{name}.product", "stem", channels=width) for name, width in widths.items()]
    biases = [add(f"{name}.bias", f"{name}.product") for name in widths]
    attention = layer("attention", Elementwise("attention", 1), [f"{name}.bias" for name in widths])
    model = graph(relu("stem", "x"), *products, *biases, attention, add("after", "attention", "stem"))
    times = {"stem": 1.0, "attention": 20.0, "after": 1.0, **{product.name: 50.0 for product in products}}
    by_configuration = [times.get(each.layer.name, 0.0) for each in model.configurations]
    run = timed(model, *by_configuration, tail_utilization=0.2)
    answer = parallel(Case(run, lower_bounds(run)))
    (finding,) = answer.findings
    assert finding.title.startswith("3 independent branches")
    assert finding.code.count("with torch.cuda.stream") == 2
    joined = finding.code.index("main.wait_stream(stream)")
    assert finding.code.index("v.product") < joined < finding.code.index("attention")


@st.composite
def _models(draw: st.DrawFn) -> tuple[Graph, tuple[float, ...]]:
    """Any order of work, work without time, and views, each of which reads one to three things before it."""
    layers: list[Layer] = []
    names = ["x"]
    for index in range(draw(st.integers(3, 14))):
        reads = draw(st.lists(st.sampled_from(names[-5:]), min_size=1, max_size=3, unique=True))
        name = f"l{index}"
        layers.append(
            view(name, reads[0]) if draw(st.integers(0, 4)) == 0 else layer(name, Elementwise("add", index + 1), reads)
        )
        names.append(name)
    model = graph(*layers)
    return model, tuple(draw(st.sampled_from([0.0, 5.0, 40.0])) for _ in model.configurations)


@given(_models())
def test_no_stream_of_the_code_waits_for_what_another_makes(drawn: tuple[Graph, tuple[float, ...]]) -> None:
    model, times_us = drawn
    run = timed(model, *times_us, tail_utilization=0.2)
    needs: list[set[int]] = []
    for before in model.predecessors:
        needs.append(set(before).union(*(needs[earlier] for earlier in before)))
    for region in parallel_regions(run):
        assert region.branches >= 2
        assert sorted((*region.fork.stem, *sum(region.fork.branches, ()), *region.fork.tail)) == [*region.layers]
        assert fork_and_join(run, region.fork).count("with torch.cuda.stream") == region.branches - 1
        for branch in region.fork.branches:
            others = {i for other in region.fork.branches if other != branch for i in other} | {*region.fork.tail}
            assert not others & set().union(*(needs[i] for i in branch))
        tail = set(region.fork.tail)
        assert not tail & set().union(*(needs[i] for i in region.fork.stem))
        assert region.joint_us <= region.sequential_us
        assert region.saves_us <= region.sequential_us - region.critical_us + 1e-9


@pytest.mark.parametrize(("ctas", "share"), [(66, 0.5), (132, 1.0), (133, 133 / 264), (13200, 1.0)])
def test_a_launch_s_share_of_the_sms_is_that_of_its_waves(ctas: int, share: float) -> None:
    launch = Launch("k", LaunchKind.KERNEL, 0.0, 1.0, 7, grid=(ctas, 1, 1))
    assert sm_share(launch, H200) == pytest.approx(share)
    assert sm_share(replace(launch, grid=None), H200) == 1.0


def test_a_model_is_timed_by_its_run_what_ran_beside_a_layer_included() -> None:
    built = forked(HALF)
    built.beside("transpose", "left", ("nchwToNhwcKernel", 20.0))
    run = Recorded.of(built.case())
    assert run is not None
    assert as_ran(run).times_us == pytest.approx((10.0, 120.0, 80.0, 10.0))
