"""Every width group of every network of the zoo: found whole, shrunk and grown without touching the function."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from change_groups.zoo import NETWORKS
from headroom.change.widths.groups import Growth, set_widths
from headroom.change.widths.groups.run import difference, outputs

#: Groups that can move, by network; and why the others cannot, in the words that the reason must hold.
MOVABLE = {
    "alexnet": 7,
    "vgg": 8,
    "resnet18": 10,
    "resnet50": 17,
    "resnext": 3,
    "mobilenet_v2": 8,
    "mobilenet_v3": 6,
    "efficientnet": 11,
    "convnext": 3,
    "densenet": 14,
    "googlenet": 13,
    "inception_v3": 11,
    "squeezenet": 10,
    "shufflenet_v1": 3,
    "shufflenet_v2": 11,
    "vit": 4,
    "bert": 5,
    "unet": 4,
    "hrank_vgg16": 14,
    "hrank_resnet20": 13,
    "gated": 2,
    "split": 1,
}
FROZEN = {
    "convnext": ("LayerNorm over its channels", "GroupNorm over its channels"),
    "vit": ("LayerNorm over its channels",),
    "bert": ("LayerNorm over its channels",),
    "split": ("split_with_sizes expects", "split_with_sizes expects"),
}


def doubled(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Outputs in float64 for inputs that tell places apart."""
    generator = torch.Generator().manual_seed(3)
    given = tuple(
        torch.randn(each.shape, generator=generator).double()
        if each.is_floating_point()
        else torch.arange(each.numel()).reshape(each.shape) % 7
        for each in inputs
    )
    return outputs(copy.deepcopy(module).double(), given)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_group_moves_or_says_why_it_cannot(found, name):
    _, _, groups = found(name)

    assert len(groups.free) == MOVABLE[name], [(group.name, group.frozen) for group in groups.groups]
    reasons = [group.frozen for group in groups.frozen if group.frozen != "is what the network returns"]
    expected = FROZEN.get(name, ())
    assert len(reasons) == len(expected)
    assert all(any(part in reason for reason in reasons) for part in expected)
    assert len({group.name for group in groups.groups}) == len(groups.groups)


#: Where copied and fresh channels meet something else than in the others.
TRAINED_ON = (
    "bert",
    "densenet",
    "efficientnet",
    "gated",
    "hrank_resnet20",
    "resnext",
    "shufflenet_v1",
    "shufflenet_v2",
    "vit",
)
GROWN = [
    *((name, Growth.ZERO) for name in NETWORKS),
    *((name, growth) for name in TRAINED_ON for growth in (Growth.DUPLICATE, Growth.FRESH)),
]


@pytest.mark.parametrize(("name", "growth"), GROWN)
def test_all_groups_grow_together_and_the_function_stays(found, name, growth):
    module, inputs, groups = found(name)
    widths = {group.name: group.width + 3 * group.unit for group in groups.free}

    grown = set_widths(module, inputs, groups, widths, growth=growth)

    # Copies share a weight, a third of which has no exact value in float32.
    allowed = 1e-6 if growth is Growth.DUPLICATE else 1e-9
    assert difference(doubled(module, inputs), doubled(grown, inputs)) < allowed
    assert sum(each.numel() for each in grown.parameters()) > sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_grown_shrinks_back_to_the_very_same_weights(found, name):
    module, inputs, groups = found(name)
    wider = {group.name: group.width + 2 * group.unit for group in groups.free}
    grown = set_widths(module, inputs, groups, wider)

    back = set_widths(grown, inputs, groups.at(wider), {group.name: group.width for group in groups.free})

    rescaled = {member.axis.tensor for group in groups.free if group.rescaled for member in group.members}
    for tensor, value in module.state_dict().items():
        same = torch.allclose if tensor in rescaled else torch.equal
        assert same(value, back.state_dict()[tensor]), tensor


@pytest.mark.parametrize("name", NETWORKS)
def test_the_important_channels_alone_are_the_same_function_once_padded(found, name):
    module, inputs, groups = found(name)
    small = [group for group in groups.free if group.allows(group.width - group.unit)]
    widths = {group.name: group.width - group.unit for group in small}
    importance = {
        member.axis: np.random.default_rng(5).random(member.size) for group in small for member in group.members
    }

    shrunk = set_widths(module, inputs, groups, widths, importance=importance)

    wide = {group.name: group.width for group in small}
    padded = set_widths(shrunk, inputs, groups.at(widths), wide)
    assert difference(doubled(shrunk, inputs), doubled(padded, inputs)) < 1e-9
    assert {name: value.shape for name, value in padded.state_dict().items()} == {
        name: value.shape for name, value in module.state_dict().items()
    }


@pytest.mark.long
def test_all_of_resnet56_moves_block_by_block_and_stage_by_stage(found):
    module, inputs, groups = found("hrank_resnet56")

    assert len(groups.free) == 27 + 4
    assert [group.width for group in groups.free if group.settings] == [3, 14, 37]
    grown = set_widths(module, inputs, groups, {group.name: group.width + 3 for group in groups.free})
    assert difference(doubled(module, inputs), doubled(grown, inputs)) < 1e-9
