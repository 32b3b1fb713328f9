"""The accuracy goal: more parameters in the same time, from the same function."""

from __future__ import annotations

import torch

from change_fit import networks
from headroom.change.widths.groups import load_widths


def test_parameters_are_added_where_they_cost_no_time(fitted) -> None:
    plan = fitted("plain", goal="accuracy")
    before, after = plan.choice.parameters

    layers = [each for each in networks.plain()[0].modules() if isinstance(each, torch.nn.Conv2d | torch.nn.Linear)]
    assert before == sum(layer.weight.numel() + layer.bias.numel() for layer in layers)
    assert after > before
    assert plan.after_us <= plan.before_us * (1 + 1e-6)
    assert plan.helps


def test_it_starts_as_the_network_that_it_was_made_of_and_can_be_trained(fitted, tmp_path) -> None:
    plan = fitted("plain", goal="accuracy")
    plan.apply(tmp_path / "made")

    wider = load_widths(networks.plain()[0], tmp_path / "made").eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(wider(images), networks.plain()[0](images), atol=1e-4)
    # The new filters are no zeros: what they find only needs to be read.
    assert wider.features[0].weight[35:].abs().min(dim=1).values.max() > 0


def test_a_module_that_runs_twice_has_its_parameters_once(fitted) -> None:
    before, after = fitted("twice", goal="accuracy").choice.parameters

    assert before == sum(parameter.numel() for parameter in networks.twice()[0].parameters())
    assert after > before
