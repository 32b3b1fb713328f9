"""The lossless goal: never slower on the table, never another function, and nothing where nothing helps."""

from __future__ import annotations

import itertools

import pytest
import torch

import headroom as hr
from change_fit import networks
from headroom.change.widths.fit.choice import Asked
from headroom.change.widths.fit.goals import find_goal
from headroom.change.widths.groups import load_widths

NAMES = ("plain", "residual", "change_groups.zoo:densenet", "change_groups.zoo:shufflenet_v1")


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_is_never_slower_than_the_network_or_any_round_up(fitted, name: str) -> None:
    plan = fitted(name)

    assert plan.after_us <= plan.before_us
    assert [each.multiple for each in plan.round_ups] == [8, 16, 32, 64]
    assert all(plan.after_us <= each.time_us for each in plan.round_ups)
    assert all(move.after >= move.before for move in plan.groups)


def test_the_sum_of_the_tables_is_what_an_analysis_calls_one_layer_after_the_other(fitted) -> None:
    plan = fitted("plain")
    graph = plan.space.network.graph

    analysis = hr.analyze(graph, "h200", source="predicted")

    assert plan.before_us == pytest.approx(analysis.bounds.sequential_us)


@pytest.mark.parametrize("name", NAMES)
def test_the_changed_network_takes_what_the_plan_foretold(fitted, name: str) -> None:
    """Its graph, read anew and analysed as any other, has the layers and the times of the plan."""
    plan = fitted(name)
    target, before = plan.target, plan.space.network.graph

    changed = target.changed(plan.space.network.groups, plan.widths)

    graph = hr.load(changed, target.inputs, batch=before.batch)
    assert hr.analyze(graph, "h200", source="predicted").bounds.sequential_us == pytest.approx(plan.after_us, rel=0.01)


def test_what_is_written_computes_the_same_and_is_read_back(fitted, tmp_path) -> None:
    plan = fitted("plain")
    module, _ = networks.plain()

    written = plan.apply(tmp_path / "made")

    assert [path.name for path in written.paths] == ["widths.json", "weights.pt"]
    wider = load_widths(networks.plain()[0], tmp_path / "made").eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(wider(images), module.eval()(images), atol=1e-5)
    assert wider.features[0].out_channels == plan.widths["features.0"] > 35


def test_no_choice_of_candidates_is_faster(fitted) -> None:
    plan = fitted("residual")
    space = plan.space
    every = (dict(zip(space.choices, widths, strict=True)) for widths in itertools.product(*space.choices.values()))
    least_us = min(space.time_us(widths) for widths in every)

    # Moves that save less than a thousandth are left out.
    assert plan.after_us <= least_us * 1.003


def test_where_nothing_helps_nothing_moves_and_nothing_is_written(fitted, tmp_path) -> None:
    plan = fitted("even")

    assert (plan.helps, plan.widths, plan.gain_us) == (False, {}, 0.0)
    with pytest.raises(hr.UsageError, match="no move helps: the network is as fast"):
        plan.apply(tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_groups_that_cannot_move_say_why(fitted) -> None:
    reasons = {move.name: move.reason for move in fitted("plain").groups}

    assert reasons == {
        "features.0": None,
        "features.3": None,
        "features.6": None,
        "head": "is what the network returns",
    }


def test_layers_that_the_theory_has_no_table_of_hold_their_groups(fitted) -> None:
    """A transposed convolution is another problem than the staircase's."""
    reasons = {move.name: move.reason for move in fitted("change_groups.zoo:unet").groups}

    assert reasons["up"] == "no time is known for up, which follows it"
    assert reasons["down1"] is None


def test_depthwise_and_grouped_layers_move_with_what_they_read(fitted) -> None:
    plan = fitted("change_groups.zoo:mobilenet_v2")

    tied = [
        layer for layer in plan.layers if layer.timed.wide and layer.timed.inputs.parts == layer.timed.outputs.parts
    ]
    assert len(tied) == 4
    assert all(layer.widths[1][0] == layer.widths[1][1] for layer in tied)


def test_a_layer_stands_on_the_interval_that_holds_its_width(fitted) -> None:
    plan = fitted("plain")

    for layer, stand in zip(plan.layers, plan.stands, strict=True):
        if stand is None:
            assert layer.timed.wide is None
            continue
        for side, pair, point in zip((stand.before, stand.after), layer.widths, layer.points, strict=True):
            assert side.interval.first <= pair[1] <= side.interval.last
            assert side.staircase.at(pair[1]).latency_us == point.latency_us


def test_what_follows_a_width_gets_longer_with_it(fitted) -> None:
    follows = [layer for layer in fitted("plain").layers if layer.timed.wide is None and layer.changes]

    assert follows
    assert all(layer.points[1].latency_us >= layer.points[0].latency_us for layer in follows)


def test_a_goal_says_what_it_cannot_be_asked_for() -> None:
    with pytest.raises(hr.UsageError, match="leave out saves and tolerance"):
        find_goal("lossless").check(Asked(saves=0.2))
    with pytest.raises(hr.UsageError, match="unknown goal 'speed': choose lossless, latency"):
        find_goal("speed")


def test_the_plan_shows_itself_in_one_line(fitted) -> None:
    assert repr(fitted("plain")) == "<Fit of change_fit.networks:plain on H200 SXM 141GB: 3 of 4 widths move>"
