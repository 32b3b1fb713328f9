"""Overlap is found where it is; its gain is promised only where the GPU has room."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import H200, add, conv, fork, graph, relu, timed
from executions import Scene, replayed
from headroom.advise.as_ran import as_ran, sm_share
from headroom.advise.bounds import lower_bounds
from headroom.advise.branches import parallel_regions
from headroom.advise.case import Case
from headroom.advise.overlap import overlap_of
from headroom.advise.questions.parallel import parallel
from headroom.advise.recorded import Recorded
from headroom.advise.streams import branches_of, fork_and_join
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
    branches = branches_of(model, region)
    assert [model.names(branch) for branch in branches] == [("l0", "l1"), ("r0",)]
    code = fork_and_join(model, branches)
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
    code = fork_and_join(model, branches_of(model, region))
    assert "a0 = branch_0(x)" in code  # self.block(x) would run the shortcut again
    assert "    a1 = self.block.downsample(x)" in code


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
