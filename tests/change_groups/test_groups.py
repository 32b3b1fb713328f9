"""What a group says of itself, and what the search does with networks that it cannot follow."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from change_groups import zoo
from headroom.change.widths.groups import Axis, width_groups
from headroom.errors import ModelError


def members(group):
    return {member.axis: member.slices for member in group.members}


def test_a_residual_stream_moves_with_every_layer_that_adds_to_it(found):
    _, _, groups = found("resnet18")

    stream = groups["conv1"]

    assert {"conv1", "bn1", "layer1.0.conv2", "layer1.1.conv2", "layer2.0.conv1", "layer2.0.downsample.0"} <= set(
        stream.layers
    )
    assert members(stream)[Axis("layer1.0.conv2.weight", 0)] == ((0, 8),)
    assert members(stream)[Axis("layer2.0.downsample.0.weight", 1)] == ((0, 8),)


def test_a_concatenation_gives_each_branch_its_slice(found):
    _, _, groups = found("googlenet")
    reader = Axis("3.one.0.weight", 1)

    slices = {name: members(groups[name])[reader] for name in ("1.one.0", "1.three.1.0", "1.five.1.0", "1.pool.1.0")}

    assert slices == {
        "1.one.0": ((0, 4),),
        "1.three.1.0": ((4, 10),),
        "1.five.1.0": ((10, 15),),
        "1.pool.1.0": ((15, 19),),
    }


def test_a_channel_that_is_flattened_takes_all_its_pixels_of_the_linear_layer(found):
    _, _, groups = found("alexnet")

    assert members(groups["10"])[Axis("16.weight", 1)] == ((0, 108),)
    assert groups["10"].width == 12


def test_a_depthwise_convolution_and_its_gate_follow_the_layer_before(found):
    _, _, groups = found("efficientnet")

    assert {"2.block.0", "2.block.3", "2.block.6.squeeze", "2.block.6.excite", "2.block.7"} <= set(
        groups["2.block.0"].layers
    )
    assert groups["2.block.6.squeeze"].width == 2


def test_grouped_convolutions_move_by_whole_groups_and_shuffled_ones_by_one_channel_in_each(found):
    _, _, whole = found("resnext")
    _, _, even = found("shufflenet_v1")

    assert (whole["1.reduce.0"].unit, whole.even) == (3, frozenset())
    assert even["1.reduce.0"].unit == 4
    assert "1.expand.0.weight" in even.even


def test_a_zero_padded_shortcut_moves_the_attribute_that_its_code_pads_by(found):
    _, _, groups = found("hrank_resnet20")

    second = groups["blocks.3.conv2"]

    assert [(each.module, each.attribute, each.value, each.step) for each in second.settings] == [
        ("blocks.3", "missing", 14, 1)
    ]
    # Channels of the first stage stand in the middle of the second's, between the zeros.
    assert members(second)[Axis("blocks.3.conv2.weight", 0)] == ((0, 7), (20, 27))
    assert members(groups["conv1[2]"])[Axis("blocks.3.conv2.weight", 0)] == ((7, 20),)


def test_attention_moves_by_one_channel_in_every_head(found):
    _, _, vit = found("vit")
    _, _, bert = found("bert")

    fused, apart = vit["blocks.0.attention.qkv"], bert["layers.0.query"]

    assert (fused.width, fused.unit, fused.rescaled) == (36, 9, False)
    assert (apart.width, apart.unit, apart.rescaled) == (16, 4, True)
    assert {each.attribute for each in apart.settings} == {"attention_head_size", "all_head_size"}


def test_the_shuffled_halves_of_a_stage_move_together(found):
    _, _, groups = found("shufflenet_v2")

    assert {axis.layer for axis in groups["1.branch1.1.0"].steps} == {
        "1.branch1.1.0",
        "1.branch2.2.0",
        "2.branch2.2.0",
    }


def test_a_search_leaves_the_network_and_pytorch_as_they_were(fused_encoder):
    module, inputs = zoo.gated()
    module.train()
    module.second.eval()
    before = copy.deepcopy(module.state_dict())

    width_groups(module, inputs)

    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())
    assert all(each.requires_grad and each.grad is None for each in module.parameters())
    assert torch.backends.mha.get_fastpath_enabled() == fused_encoder or fused_encoder is None


@torch.library.custom_op("headroom_tests::cubed", mutates_args=())
def _cubed(x: torch.Tensor) -> torch.Tensor:
    """An operator of somebody's own."""
    return torch.from_numpy(x.numpy() ** 3)


class Unknown(nn.Module):
    """An operator between two layers."""

    def __init__(self, between) -> None:
        super().__init__()
        self.first, self.second, self.between = nn.Linear(5, 8), nn.Linear(8, 3), between

    def forward(self, x):
        return self.second(self.between(self.first(x)))


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (lambda x: x.sort(-1).values, "zero channels change its outputs"),
        (lambda x: torch.fft.fft(x).real, "aten."),
        (lambda x: x / x.amax(-1, keepdim=True), "amax over its channels"),
        (lambda x: functional.softmax(x, -1), "softmax over its channels"),
        (lambda x: x + torch.arange(8.0), "its own code fails"),
        (lambda x: functional.layer_norm(x, (8,)), "LayerNorm over its channels"),
        (lambda x: torch.cumsum(x, -1), "cumsum over its channels"),
    ],
)
def test_what_mixes_channels_freezes_them(between, reason):
    groups = width_groups(Unknown(between), torch.zeros(4, 5))

    assert groups["first"].frozen is not None
    assert reason in groups["first"].frozen


@pytest.mark.parametrize(
    "between",
    [torch.sigmoid, torch.cos, functional.elu, lambda x: x * 2 + 1, lambda x: x.flip(-1), lambda x: x.roll(3, -1)],
)
def test_what_treats_each_channel_alone_does_not_even_where_it_makes_something_of_nothing(between):
    groups = width_groups(Unknown(between), torch.zeros(4, 5))

    assert groups["first"].frozen is None


def test_an_operator_that_nobody_knows_is_judged_by_the_proof():
    groups = width_groups(Unknown(lambda x: _cubed(x)), torch.zeros(4, 5))

    assert groups["first"].frozen is None


def test_a_network_that_does_not_run_or_cannot_be_copied_is_said():
    with pytest.raises(ModelError, match="does not run on its example inputs: RuntimeError"):
        width_groups(nn.Linear(3, 2), torch.zeros(1, 4))
    with pytest.raises(ModelError, match="cannot be copied"):
        width_groups(Unknown(_cubed), torch.zeros(4, 5))


def test_tied_weights_move_together():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.up, self.down = nn.Embedding(11, 6), nn.Linear(6, 9), nn.Linear(9, 6)
            self.head = nn.Linear(6, 11, bias=False)
            self.head.weight = self.words.weight

        def forward(self, tokens):
            x = self.words(tokens)
            return self.head(x + self.down(torch.relu(self.up(x))))

    groups = width_groups(Tied(), torch.zeros(1, 4, dtype=torch.long))

    assert {group.name: group.width for group in groups.free} == {"words": 6, "up": 9}
