"""A host that was held up while a step was recorded is no slower host: the other steps tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import conv, graph, relu
from executions import Scene
from headroom.advise.case import Case
from headroom.advise.held_up import own_share, pauses_us
from headroom.advise.questions.framework import framework
from headroom.advise.recorded import Recorded
from headroom.measure.profiles.profile import Step
from headroom.measure.profiles.reading import read_profile

TRACES = Path(__file__).parents[2] / "benchmarks" / "results" / "profiles"
MODEL = graph(*(relu(f"r{at}", "x" if at == 0 else f"r{at - 1}") for at in range(19)), conv("c", "r18"))


def scene(slow: frozenset[int] = frozenset(), slower_us: float = 80.0) -> Scene:
    built = Scene(MODEL, host_us=20.0)
    for at, each in enumerate(MODEL.layers):
        built.run(each.name, (f"kernel_{each.name}", 1.0))
        built.pause(slower_us if at in slow else 0.0)
    return built


def step(*slow: int) -> Step:
    return scene(frozenset(slow)).step()


def case(*slow: int, others: tuple[Step, ...]) -> Case:
    return scene(frozenset(slow)).case(recorder="pytorch", others=others)


def test_a_host_that_was_held_up_once_is_taken_at_the_pace_of_the_other_step() -> None:
    held_up, other = step(*range(2, 10)), step(*range(12, 18))
    assert own_share(held_up, (held_up, other)) == pytest.approx(0.372 / 0.95, rel=0.02)


def test_steps_that_differ_as_steps_do_are_taken_as_they_are() -> None:
    usual, other = step(), step(3)
    assert own_share(usual, (usual, other)) == 1.0
    assert own_share(other, (usual, other)) < 1.0


def test_what_every_step_does_is_no_hold_up() -> None:
    stalled = step(4, 5, 6, 7)
    assert own_share(stalled, (stalled, stalled)) == 1.0


def test_a_step_alone_and_steps_of_other_launches_tell_nothing() -> None:
    held_up, other = step(*range(2, 10)), step()
    shorter = replace(other, launches=other.launches[:-1])
    assert own_share(held_up, (held_up,)) == 1.0
    assert own_share(held_up, (held_up, shorter)) == 1.0


def test_of_more_steps_the_usual_pace_counts_and_not_the_quickest() -> None:
    usual, slow = step(), step(*range(2, 10))
    assert own_share(slow, (slow, slow, usual)) == 1.0
    assert own_share(slow, (slow, usual, usual)) < 0.5


def test_launches_of_a_replayed_graph_tell_of_no_host() -> None:
    still = step()
    untold = replace(still, launches=tuple(replace(each, launched_us=None) for each in still.launches))
    assert pauses_us(untold) == ()
    assert own_share(untold, (untold, untold)) == 1.0


def test_the_estimate_and_the_answer_say_so() -> None:
    found = case(*range(2, 10), others=(step(*range(12, 18)),))
    run = Recorded.of(found)
    usual = Recorded.of(case(others=(step(),)))
    assert run is not None
    assert usual is not None
    assert run.latency_us == pytest.approx(usual.latency_us, rel=0.1)
    (row,) = [row for row in framework(found).tables[0].rows if "held the host up" in str(row[0])]
    assert row[1] > 500.0
    assert not any("held" in str(row[0]) for row in framework(case(others=(step(),))).tables[0].rows)


def test_a_recorded_step_that_took_twice_as_long_as_its_operators_usually_do_was_held_up() -> None:
    """AlexNet's operators took 2.1 us (empty) and 4.7 us (a launch) in one step, and 4.3 and 5.9 in the other."""
    profile = read_profile(TRACES / "alexnet-1-bf16.json.gz")
    assert own_share(profile.typical, profile.steps) == pytest.approx(0.5, abs=0.03)
    steady = read_profile(TRACES / "vit_b_16-1-bf16.json.gz")
    assert own_share(steady.typical, steady.steps) == 1.0
