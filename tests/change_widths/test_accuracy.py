"""The accuracy goal: as many parameters as the time allows, in a network that starts at its old accuracy."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from change_training.conftest import network as small_network
from change_training.conftest import quadrants
from headroom.change.training import Recipe, TensorBatches, accuracy_pct, train
from headroom.change.widths.groups import Growth, set_widths, width_groups
from headroom.change.widths.solve import ChoosableWidth, Count, LayerTable, Width, WidthProblem, widest
from headroom.errors import UsageError

ONE = Fraction(1)


def every_choice(problem: WidthProblem, only_wider: bool) -> list[dict[str, int]]:
    names = [group.name for group in problem.groups]
    found = [dict(zip(names, each, strict=True)) for each in itertools.product(*(g.choices for g in problem.groups))]
    return [each for each in found if not only_wider or all(each[name] >= problem.current[name] for name in names)]


def chain(seed: int) -> WidthProblem:
    """Four convolutions in a row, whose times are noisy stairs."""
    random = np.random.default_rng(seed)
    groups = tuple(
        ChoosableWidth(f"layer{index}", int(current), tuple(random.integers(8, 160, 4).tolist()))
        for index, current in enumerate(random.integers(16, 128, 4))
    )
    layers = []
    before, ins = Width(3), (3,)
    for group in groups:
        times, counts = {}, {}
        for pair in itertools.product(ins, group.choices):
            times[pair] = float(-(-pair[1] // 32) * (1 + pair[0] / 64) * random.uniform(0.9, 1.2))
            counts[pair] = 9 * pair[0] * pair[1]
        own = Width(parts={group.name: ONE})
        layers.append(LayerTable(group.name, before, own, times, parameters=counts))
        before, ins = own, group.choices
    return WidthProblem(groups, tuple(layers))


@pytest.mark.parametrize("only_wider", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_no_choice_of_widths_has_more_parameters_in_the_same_time(seed: int, only_wider: bool) -> None:
    problem = chain(seed)
    limit_us = problem.total_us(problem.current) * (1 + 1e-9)
    allowed = [each for each in every_choice(problem, only_wider) if problem.total_us(each) <= limit_us]

    found = widest(problem, only_wider=only_wider, count=Count.PARAMETERS)

    assert problem.total_us(found) <= limit_us
    assert problem.total_parameters(found) == max(map(problem.total_parameters, allowed))
    if only_wider:
        assert all(found[name] >= width for name, width in problem.current.items())


def test_channels_and_parameters_are_not_the_same_gain() -> None:
    # 20 channels more in the first layer, or 10 in the second, which reads many.
    groups = (ChoosableWidth("a", 10, (30,)), ChoosableWidth("b", 10, (20,)))
    tables = [(3, 10, 1.0, 30), (3, 30, 2.0, 90)], [(200, 10, 1.0, 2000), (200, 20, 2.0, 4000)]
    layers = tuple(
        LayerTable(
            group.name,
            Width(rows[0][0]),
            Width(parts={group.name: ONE}),
            {(i, o): time_us for i, o, time_us, _ in rows},
            parameters={(i, o): count for i, o, _, count in rows},
        )
        for group, rows in zip(groups, tables, strict=True)
    )
    problem = WidthProblem(groups, layers)
    assert widest(problem, at_most_us=3.0) == {"a": 30, "b": 10}
    assert widest(problem, at_most_us=3.0, count=Count.PARAMETERS) == {"a": 10, "b": 20}


def test_parameters_that_nobody_counted_are_asked_for() -> None:
    problem = WidthProblem(
        (ChoosableWidth("a", 8, (16,)),), (LayerTable("a", Width(3), Width(parts={"a": ONE}), {(3, 8): 1.0}),)
    )
    with pytest.raises(UsageError, match="a has no count of parameters at 3 inputs and 8 outputs"):
        widest(problem, count=Count.PARAMETERS)
    with pytest.raises(UsageError, match="a has no count of parameters at 3 inputs and 8 outputs"):
        problem.total_parameters(problem.current)


def trained() -> tuple[nn.Module, TensorBatches, TensorBatches]:
    module = small_network()
    batches = [
        TensorBatches(*quadrants(count, seed), batch=64, shuffled=seed == 1, mean=(0.3,) * 3, spread=(0.25,) * 3)
        for count, seed in ((256, 1), (100, 2))
    ]
    train(module, batches[0], Recipe(epochs=2, rate=0.1))
    return module, batches[0], batches[1]


@pytest.mark.parametrize("growth", [Growth.FRESH, Growth.DUPLICATE])
def test_a_widened_network_starts_at_the_old_accuracy_and_trains_on(growth: Growth) -> None:
    module, training, held_out = trained()
    example = torch.randn(2, 3, 8, 8)
    groups = width_groups(module, example)
    wider = set_widths(module, example, groups, {groups.free[0].name: 12}, growth=growth)

    inputs = next(held_out.epoch(0))[0]
    with torch.no_grad():
        assert torch.allclose(module.eval()(inputs), wider.eval()(inputs), atol=1e-5)
    assert accuracy_pct(wider, held_out) == accuracy_pct(module, held_out)
    train(wider, training, Recipe(epochs=2, rate=0.1))
    assert float(wider[6].weight.detach().abs().view(4, 12, 4).amax((0, 2)).min()) > 1e-4  # every channel is read


def test_training_tells_copies_of_a_channel_apart() -> None:
    module, training, _ = trained()
    del module[5]  # dropout would tell them apart by itself
    example = torch.randn(2, 3, 8, 8)
    groups = width_groups(module, example)
    wider = set_widths(module, example, groups, {groups.free[0].name: 16}, growth=Growth.DUPLICATE)
    assert _apart(wider[0].weight) == 0
    train(wider, training, Recipe(epochs=2, rate=0.1))
    assert _apart(wider[0].weight) > 1e-4


def _apart(weight: Tensor) -> float:
    """The least distance between two channels, over their mean size."""
    rows = weight.detach().flatten(1)
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist") + 1e9 * torch.eye(len(rows))
    return float(distances.min() / rows.norm(dim=1).mean())
