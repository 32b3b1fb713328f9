"""The latency goal: the target met, the exact choice never slower than the paper's, channels chosen by a criterion."""

from __future__ import annotations

import pytest
import torch

import headroom as hr
from change_fit import networks
from headroom.change.widths.groups import load_widths
from headroom.change.widths.solve import Unfinished, algorithm_2


@pytest.mark.parametrize("saves", [0.1, 0.3])
def test_the_target_is_met_with_as_many_channels_as_it_allows(fitted, saves: float) -> None:
    plan = fitted("plain", goal="latency", saves=saves)

    assert plan.after_us <= (1 - saves) * plan.before_us * (1 + 1e-6)
    assert not plan.choice.notes


def test_a_target_out_of_reach_gives_the_fastest_and_says_so(fitted) -> None:
    plan = fitted("plain", goal="latency", saves=0.99)

    assert plan.choice.notes == ("The target is out of reach between these bounds; this is as fast as it gets.",)
    assert plan.helps


def test_where_the_widest_is_not_found_in_time_the_fastest_is_taken_and_said(monkeypatch) -> None:
    def unfinished(*_: object, **__: object) -> dict[str, int]:
        raise Unfinished("the solver did not finish")

    monkeypatch.setattr("headroom.change.widths.fit.latency.widest", unfinished)
    plan = hr.fit("change_fit.networks:plain", "h200", batch=128, source="predicted", goal="latency", saves=0.1)

    assert plan.choice.notes == ("The search for the widest network took too long; this is the fastest instead.",)
    assert plan.after_us <= 0.9 * plan.before_us


@pytest.mark.parametrize("tolerance", [4.0, 16.0, 32.0, 64.0])
def test_the_exact_choice_is_never_slower_than_the_paper_s(fitted, tolerance: float) -> None:
    """Where the paper's greedy exchange leaves the tolerance there is nothing to compare."""
    plan = fitted("plain", goal="latency", tolerance=tolerance)
    problem = plan.space.problem
    paper = algorithm_2(problem, tolerance, 1.0)

    if abs(problem.gain(paper.widths)) < tolerance:
        assert plan.choice.rival_us == pytest.approx(plan.space.fixed_us + paper.total_us)
        assert plan.after_us <= plan.choice.rival_us * (1 + 1e-9)
    else:
        assert plan.choice.rival_us is None
    assert abs(problem.gain({**problem.current, **plan.widths})) < tolerance


def test_with_a_target_the_tolerance_doubles_until_it_is_met(fitted) -> None:
    """Within one channel nothing can be had; the paper's line 18 loosens it."""
    tight = fitted("residual", goal="latency", tolerance=1.0)
    loosened = fitted("residual", goal="latency", tolerance=1.0, saves=0.2)

    assert not tight.helps
    assert loosened.after_us <= 0.8 * loosened.before_us
    tolerance = float(loosened.choice.notes[0].removeprefix("The tolerance is ").removesuffix(" channels."))
    assert tolerance in {2.0**step for step in range(1, 8)}


def test_the_paper_s_algorithm_is_a_goal_of_its_own(fitted) -> None:
    plan = fitted("plain", goal="latency-paper", tolerance=16.0)

    assert plan.choice.rival_us is None
    widths = {**plan.space.problem.current, **plan.widths}
    assert widths == dict(algorithm_2(plan.space.problem, 16.0, 1.0).widths)


def test_a_narrower_network_is_trained_by_the_user_s_function_and_written(fitted, tmp_path) -> None:
    plan = fitted("plain", goal="latency", saves=0.99)
    narrowed = {name for name, width in plan.widths.items() if width < plan.space.network.groups[name].width}
    assert narrowed

    plan.apply(tmp_path / "plain")
    plan.apply(tmp_path / "taylor", criterion="taylor", data="change_fit.networks:images")
    trained = plan.apply(tmp_path / "trained", criterion="batch-norm", finetune="change_fit.networks:scaled")

    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    first, second = (load_widths(networks.plain()[0], tmp_path / name) for name in ("plain", "trained"))
    assert first.head.in_features == second.head.in_features
    assert first.eval()(images).shape == (2, 10)
    assert trained.score == 91.5
    assert not torch.equal(first.head.weight, second.head.weight)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"criterion": "luck"}, hr.UsageError, "unknown criterion 'luck': choose l1, batch-norm, taylor"),
        ({"criterion": "taylor"}, hr.UsageError, "the criterion 'taylor' needs data"),
        ({"finetune": "change_fit.networks:failing"}, hr.ModelError, "raised RuntimeError: no data"),
        ({"finetune": "change_fit.networks:nothing"}, hr.ModelError, "has no attribute 'nothing'"),
    ],
)
def test_what_goes_wrong_on_the_way_leaves_nothing_written(fitted, tmp_path, options, error, sentence) -> None:
    plan = fitted("plain", goal="latency", saves=0.99)

    with pytest.raises(error, match=sentence):
        plan.apply(tmp_path / "made", **options)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"goal": "latency"}, "needs saves, the share of the latency to save, or a tolerance"),
        ({"goal": "latency", "saves": 1.5}, "a share of 1.5 of the latency cannot be saved"),
        ({"goal": "latency", "tolerance": 0.0}, "a tolerance of 0 channels allows nothing"),
        ({"saves": 0.2}, "the lossless goal takes all that is to be had"),
    ],
)
def test_goals_that_are_asked_for_the_wrong_thing_say_so_at_once(options, sentence) -> None:
    with pytest.raises(hr.UsageError, match=sentence):
        hr.fit("nowhere:at_all", "h200", source="predicted", **options)
