"""Which channels matter, by the criteria that have names."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from headroom.change.widths.groups import CRITERIA, Axis, set_widths, taylor_importance, width_groups
from headroom.errors import UsageError

EXAMPLE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network(normalised: bool) -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3, padding=1), *([nn.BatchNorm2d(6)] if normalised else [])]
    made = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 4))
    random = torch.Generator().manual_seed(1)
    for each in made.parameters():
        each.data = torch.randn(each.shape, generator=random) * 0.3
    if normalised:
        made[1].running_mean = torch.randn(6, generator=random)
        made[1].running_var = torch.rand(6, generator=random) + 0.5
    return made


def batches(count: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(2)
    return [
        (torch.randn(16, 3, 8, 8, generator=random), torch.randint(4, (16,), generator=random)) for _ in range(count)
    ]


def one_group(module: nn.Module):
    groups = width_groups(module, EXAMPLE)
    assert [group.width for group in groups.free] == [6]
    return groups


@pytest.mark.parametrize("normalised", [False, True])
def test_taylor_scores_are_the_squared_slopes_of_the_loss_as_a_channel_fades(normalised: bool) -> None:
    module = network(normalised)
    groups = one_group(module)
    (scores,) = taylor_importance(module, groups, batches()).values()

    def loss(faded: int, share: float, batch: tuple[torch.Tensor, torch.Tensor]) -> float:
        changed = copy.deepcopy(module).double().eval()
        last = changed[1] if normalised else changed[0]
        with torch.no_grad():
            last.weight[faded] *= 1 - share
            last.bias[faded] *= 1 - share
            return float(nn.functional.cross_entropy(changed(batch[0].double()), batch[1]))

    for channel in range(6):
        slopes = [(loss(channel, 1e-5, batch) - loss(channel, -1e-5, batch)) / 2e-5 for batch in batches()]
        assert scores[channel] == pytest.approx(np.mean(np.square(slopes)), rel=1e-3)


def test_the_module_keeps_its_weights_its_statistics_and_its_gradients() -> None:
    module = network(True)
    before = copy.deepcopy(module.state_dict())
    taylor_importance(module, one_group(module), batches())
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert all(each.grad is None for each in module.parameters())


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_every_criterion_removes_a_channel_that_does_nothing(name: str) -> None:
    module = network(True)
    with torch.no_grad():
        module[0].weight[2] = 0
        module[0].bias[2] = 0
        module[1].weight[2] = 0
        module[1].bias[2] = 0
        module[4].weight.view(4, 6, 4)[:, 2] = 0
    groups = one_group(module)
    scores = CRITERIA[name](module, groups, batches())
    assert set(scores) <= {Axis("0.weight", 0), Axis("0.bias", 0), Axis("1.weight", 0)}
    assert {int(np.argmin(each)) for each in scores.values() if each.any()} == {2}
    narrower = set_widths(module, EXAMPLE, groups, {groups.free[0].name: 5}, importance=scores)
    assert torch.allclose(module.eval()(EXAMPLE), narrower.eval()(EXAMPLE), atol=1e-6)


def test_a_criterion_that_needs_data_says_so() -> None:
    module = network(False)
    with pytest.raises(UsageError, match="'taylor' needs data"):
        CRITERIA["taylor"](module, one_group(module))
    with pytest.raises(UsageError, match="at least one batch"):
        taylor_importance(module, one_group(module), [])
