"""A saving counts only where it is on the timeline that is behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import conv, graph, relu
from executions import Scene, replayed
from headroom.advise.latency import latency_of
from headroom.advise.recorded import Recorded
from headroom.advise.timelines import (
    GRAPH_GAP_US,
    HOST_ERROR,
    HOST_SHARE,
    LAUNCH_DELAY_US,
    NODE_COST_US,
    Change,
    Timelines,
    saving_error_pct,
)

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


def replay(recorder: str = "pytorch", told_us: float | None = None) -> Recorded:
    execution = replayed(scene(50.0, 2.0).execution())
    step = execution.step
    spread = tuple(replace(each, start_us=400.0 + 2.5 * i, launched_us=300.0) for i, each in enumerate(step.launches))
    step = replace(step, launches=spread, duration_us=320.0)
    profile = replace(execution.profile, steps=(step,), recorder=recorder, latency_us=told_us)
    case = replace(scene(50.0, 2.0).case(), execution=replace(execution, profile=profile, step=step))
    found = Recorded.of(case)
    assert found is not None
    return found


def test_a_replayed_graph_takes_its_recorded_nodes_less_what_the_recorder_put_between() -> None:
    span_us = 4 * 2.5 - 0.5
    assert replay().latency_us == pytest.approx(span_us - 4 * NODE_COST_US["pytorch"])
    assert replay("nsys").latency_us == pytest.approx(span_us)


def test_a_node_that_goes_takes_its_gap_along() -> None:
    run = replay("nsys")
    assert run.timelines.saves_us(Change(launches=frozenset({1}))) == pytest.approx(2.5)


def test_a_replayed_graph_is_measured_by_its_nodes_and_its_bar_is_small() -> None:
    run = replay()
    latency = latency_of(run.execution, ())
    assert latency is not None
    assert latency.is_measured
    assert latency.error_pct <= 5.0
    assert latency.time_us == run.latency_us


def test_a_told_latency_sets_the_gaps_of_a_replayed_graph() -> None:
    assert replay(told_us=9.2).timelines.latency_us() == pytest.approx(9.2)


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


def test_a_latency_that_was_worked_out_is_estimated_and_says_how_to_measure_it() -> None:
    latency = latency_of(scene(50.0, 2.0).case(recorder="pytorch").execution, ())
    assert latency is not None
    assert not latency.is_measured
    assert latency.error_pct == pytest.approx(100 * HOST_ERROR, rel=0.1)
    assert "In your run it takes an estimated 140 µs ± 42 % (209 µs recorded; `headroom profile` measures" in str(
        latency
    )


def test_a_told_latency_is_measured() -> None:
    case = scene(50.0, 2.0).case(recorder="pytorch")
    assert case.execution is not None
    told = replace(case.execution, profile=replace(case.execution.profile, latency_us=90.0))
    assert str(latency_of(told, ())) == "In your run it was measured at 90 µs ± 10 %"


def test_where_the_gpu_sets_the_pace_its_own_time_is_measured_through_the_recorder() -> None:
    latency = latency_of(scene(1.0, 100.0).case(recorder="pytorch").execution, ())
    assert latency is not None
    assert latency.is_measured
    assert latency.error_pct <= 10.0


def test_a_saving_that_every_host_leaves_keeps_its_sign() -> None:
    assert saving_error_pct(100.0, (30.0, 210.0), 20.0) == 99.0
    assert saving_error_pct(100.0, (0.0, 210.0), 20.0) > 100.0
    assert saving_error_pct(100.0, (80.0, 130.0), 10.0) == pytest.approx(40.0)


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
