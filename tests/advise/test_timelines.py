"""A saving counts only where it is on the timeline that is behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import conv, graph, relu
from executions import Scene, replayed
from headroom.advise.latency import latency_of
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import GRAPH_GAP_US, HOST_ERROR, HOST_SHARE, LAUNCH_DELAY_US, Change, Timelines

MODEL = graph(conv("a", "x"), relu("b", "a"), conv("c", "b", channels=32), relu("d", "c"))


def scene(host_us: float, gpu_us: float) -> Scene:
    built = Scene(MODEL, host_us=host_us)
    for name in "abcd":
        built.run(name, (f"kernel_{name}", gpu_us))
    return built


def test_a_replay_of_all_takes_as_long_as_the_recording() -> None:
    for host_us, gpu_us in ((50.0, 2.0), (5.0, 100.0)):
        step = scene(host_us, gpu_us).step()
        assert Timelines(step).latency_us() == pytest.approx(step.duration_us, rel=0.02)


def test_a_kernel_less_saves_nothing_where_the_host_is_behind_but_its_call_does() -> None:
    run = scene(host_us=50.0, gpu_us=2.0).recorded()
    assert run.timelines.is_host_bound
    assert run.timelines.saves_us(Change(launches=frozenset({1}))) == 0.0
    assert run.timelines.saves_us(run.without([1])) == pytest.approx(50.0)


def test_a_host_gap_saves_nothing_where_the_gpu_is_behind_but_a_kernel_does() -> None:
    run = scene(host_us=5.0, gpu_us=100.0).recorded()
    assert not run.timelines.is_host_bound
    assert run.timelines.saves_us(Change(host=((10.0, 15.0),))) < 0.1
    assert run.timelines.saves_us(run.without([1])) == pytest.approx(100.0, rel=0.05)


def test_a_graph_takes_its_kernels_and_a_small_gap_for_each() -> None:
    lines = Timelines(scene(host_us=50.0, gpu_us=2.0).step())
    assert lines.replayed_us == pytest.approx(LAUNCH_DELAY_US + 4 * (2.0 + GRAPH_GAP_US))
    again = replayed(scene(50.0, 2.0).execution())
    assert Timelines(again.step).latency_us() == pytest.approx(lines.replayed_us, abs=GRAPH_GAP_US)


def test_what_recording_costs_is_taken_off_the_host_alone() -> None:
    slow_host, slow_gpu = scene(50.0, 2.0).step(), scene(1.0, 100.0).step()
    share = HOST_SHARE["pytorch"]
    assert Timelines.of(slow_host, "pytorch").host_us == pytest.approx(share * Timelines(slow_host).host_us)
    assert Timelines.of(slow_gpu, "pytorch").latency_us() == pytest.approx(slow_gpu.duration_us, rel=0.03)


def test_a_latency_known_better_sets_the_host_s_speed() -> None:
    step = scene(50.0, 2.0).step()
    assert Timelines.of(step, "pytorch", 180.0).latency_us() == pytest.approx(180.0, rel=0.001)
    for unexplained_us in (step.duration_us, 20.0, None):
        assert Timelines.of(step, "pytorch", unexplained_us).host_share == HOST_SHARE["pytorch"]


def test_a_profile_that_tells_what_it_takes_unrecorded_is_believed() -> None:
    built = scene(50.0, 2.0)
    case = built.case(recorder="pytorch")
    assert case.execution is not None
    told = replace(case.execution, profile=replace(case.execution.profile, latency_us=90.0))
    run = Recorded.of(replace(case, execution=told))
    assert run is not None
    assert run.latency_us == pytest.approx(90.0, rel=0.001)


def test_a_latency_that_was_worked_out_is_no_latency_that_was_told() -> None:
    case = scene(50.0, 2.0).case(recorder="pytorch")
    worked_out = latency_of(case.execution, ())
    assert worked_out is not None
    run = Recorded.of(replace(case, latency_us=worked_out.time_us))
    assert run is not None
    assert run.timelines.host_error == HOST_ERROR


def test_without_a_wait_the_host_runs_ahead_again() -> None:
    built = Scene(MODEL, host_us=20.0)
    built.run("a", ("kernel_a", 100.0)).wait().run("b", ("b", 30.0)).run("c", ("c", 30.0)).run("d", ("d", 30.0))
    lines = Timelines(built.step())
    assert lines.latency_us() == pytest.approx(built.step().duration_us, rel=0.02)
    assert lines.saves_us(Change(waits=frozenset({0}))) == pytest.approx(27.0, abs=3.0)


def test_where_host_and_gpu_are_even_the_error_bar_is_wide() -> None:
    spared = Change(host=((30.0, 60.0),))
    even, clear = (Timelines(scene(30.0, gpu_us).step()).saves(spared) for gpu_us in (29.0, 2.0))
    assert clear == pytest.approx((30.0, 12.0), abs=0.1)
    assert even[0] < 30.0
    assert even[1] > 2 * clear[1]


def test_two_changes_at_once_are_one_change() -> None:
    run = scene(50.0, 2.0).recorded()
    both = run.without([1]) | run.without([3])
    assert both == run.without([1, 3])
    assert run.timelines.saves_us(both) == pytest.approx(100.0)


def test_a_launch_on_another_stream_does_not_wait_for_the_first() -> None:
    step = scene(1.0, 100.0).step()
    apart = replace(step, launches=tuple(replace(each, stream=i) for i, each in enumerate(step.launches)))
    assert Timelines(apart).latency_us() < 0.4 * Timelines(step).latency_us()


def test_launches_that_come_on_top_cost_whoever_is_behind() -> None:
    for host_us, gpu_us, more_us in ((50.0, 2.0, 22.0), (1.0, 100.0, 3.0)):
        lines = Timelines(scene(host_us, gpu_us).step())
        longer_us = lines.latency_us(Change(added={1: (22.0, 3.0)})) - lines.latency_us()
        assert longer_us == pytest.approx(more_us, abs=1.5)
