"""Whatever happened to a profile: matching gives an execution or a reason, and uses each launch once."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advise.matched import every_run, graph_of, recorded, with_launches
from headroom.advise.execution import Execution
from headroom.advise.matching import match
from headroom.errors import ProfileError
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Launch, Profile, Step

_NAMES = ("resnet18-1-default", "resnet18-1-bf16_graph", "googlenet-1-default")
_FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _matched(profile: Profile, graph: Graph) -> Execution | None:
    """The execution, checked, or ``None`` for a refusal."""
    try:
        execution = match(profile, graph)
    except ProfileError:
        return None
    used = [index for run in every_run(execution) for index in run.launches]
    assert sorted(used) == list(range(len(execution.step.launches)))
    assert len(execution.run_of) == sum(len(set(run.layers)) for run in execution.runs)
    return execution


@_FEW
@given(name=st.sampled_from(_NAMES), dropped=st.integers(0, 6), seed=st.integers(0, 1 << 30))
def test_a_few_lost_launches_do_no_harm(name: str, dropped: int, seed: int, shared_models: Path) -> None:
    def lose(step: Step) -> list[Launch]:
        lost = set(random.Random(seed).sample(range(len(step.launches)), dropped))
        return [launch for index, launch in enumerate(step.launches) if index not in lost]

    execution = _matched(with_launches(recorded(name), lose), graph_of(shared_models, name))
    assert execution is None or execution.explained_share > 0.9


@_FEW
@given(name=st.sampled_from(_NAMES), seed=st.integers(0, 1 << 30), share=st.floats(0, 1))
def test_kernels_of_unknown_names_do_no_harm(name: str, seed: int, share: float, shared_models: Path) -> None:
    def rename(step: Step) -> list[Launch]:
        chosen = random.Random(seed)
        return [
            replace(launch, name=f"kernel_{chosen.random():.6f}") if chosen.random() < share else launch
            for launch in step.launches
        ]

    _matched(with_launches(recorded(name), rename), graph_of(shared_models, name))


@_FEW
@given(name=st.sampled_from(_NAMES), seed=st.integers(0, 1 << 30))
def test_launches_in_any_order_do_no_harm(name: str, seed: int, shared_models: Path) -> None:
    def shuffle(step: Step) -> list[Launch]:
        starts = [launch.start_us for launch in step.launches]
        random.Random(seed).shuffle(starts)
        moved = [replace(launch, start_us=start) for launch, start in zip(step.launches, starts, strict=True)]
        return sorted(moved, key=lambda launch: launch.start_us)

    _matched(with_launches(recorded(name), shuffle), graph_of(shared_models, name))


@_FEW
@given(order=st.permutations(range(4)))
def test_independent_branches_may_run_in_any_order(order: list[int], shared_models: Path) -> None:
    name = "googlenet-1-default"
    graph, profile = graph_of(shared_models, name), recorded(name)
    straight = match(profile, graph)
    branches = _branches(graph, straight)
    moved = with_launches(profile, lambda step: _reordered(step, [branches[at] for at in order]))
    execution = _matched(moved, graph)
    assert execution is not None
    assert execution.explained_share == pytest.approx(straight.explained_share, abs=0.005)
    for layer in (at for at, each in enumerate(graph.layers) if each.kind.computes_gemm):
        ran = {launch.name for launch in execution.launches(execution.runs[execution.run_of[layer]])}
        assert ran == {launch.name for launch in straight.launches(straight.runs[straight.run_of[layer]])}


def _branches(graph: Graph, execution: Execution) -> list[list[int]]:
    """The launches of the four branches of a module of GoogLeNet."""
    found: list[list[int]] = []
    for number in range(1, 5):
        layers = {at for at, each in enumerate(graph.layers) if each.name.startswith(f"/inception4b/branch{number}/")}
        runs = [run for run in execution.runs if layers & set(run.layers)]
        beside = [run for run in execution.others if run.near in layers]
        found.append(sorted(index for run in (*runs, *beside) for index in run.launches))
    return found


def _reordered(step: Step, branches: list[list[int]]) -> list[Launch]:
    """The branches one after another in this order, in the time that they took together."""
    members = sorted(index for branch in branches for index in branch)
    starts = [step.launches[index].start_us for index in members]
    moved = dict(zip((index for branch in branches for index in branch), starts, strict=True))
    launches = [replace(each, start_us=moved.get(at, each.start_us)) for at, each in enumerate(step.launches)]
    return sorted(launches, key=lambda launch: launch.start_us)
