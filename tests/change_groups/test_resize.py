"""Moving groups: what is asked, what is kept, what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from headroom.change.widths.groups import (
    Axis,
    Growth,
    batch_norm_importance,
    check_same_function,
    l1_importance,
    set_width,
    set_widths,
)
from headroom.errors import ModelError, UsageError


def test_the_original_is_untouched_and_the_copy_says_its_new_widths(found):
    module, inputs, groups = found("resnet18")
    before = copy.deepcopy(module.state_dict())

    wider = set_width(module, inputs, groups, "layer1.0.conv1", 13)

    assert (wider.layer1[0].conv1.out_channels, wider.layer1[0].conv2.in_channels) == (13, 13)
    assert wider.layer1[0].bn1.num_features == 13
    assert module.layer1[0].conv1.out_channels == 8
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())


def test_new_channels_are_zero_on_both_sides_and_pass_batch_norm_as_zeros(found):
    module, inputs, groups = found("vgg")

    wider = set_width(module, inputs, groups, "0.0", 10)

    assert wider[0][0].weight[8:].abs().max() == 0
    assert wider[1][0].weight[:, 8:].abs().max() == 0
    norm = wider[0][1]
    assert norm.bias[8:].tolist() == norm.running_mean[8:].tolist() == [0, 0]
    assert norm.weight[8:].tolist() == norm.running_var[8:].tolist() == [1, 1]


def test_fresh_and_copied_channels_can_be_trained_and_zero_ones_cannot(found):
    module, inputs, groups = found("vgg")
    images = torch.randn(2, *inputs[0].shape[1:], generator=torch.Generator().manual_seed(0))

    def learns(growth):
        wider = set_width(module, inputs, groups, "1.0", 10, growth=growth)
        wider(images).square().sum().backward()
        return float(wider[3][0].weight.grad[:, 8:].abs().max()) > 0

    assert [learns(each) for each in (Growth.FRESH, Growth.DUPLICATE, Growth.ZERO)] == [True, True, False]


def test_the_most_important_channels_stay_in_their_order(found):
    module, inputs, groups = found("vgg")
    scores = np.array([5.0, 1, 7, 2, 8, 3, 6, 4])

    narrower = set_width(module, inputs, groups, "0.0", 4, importance={Axis("0.0.weight", 0): scores})

    assert torch.equal(narrower[0][0].weight, module[0][0].weight[[0, 2, 4, 6]])
    assert torch.equal(narrower[1][0].weight, module[1][0].weight[:, [0, 2, 4, 6]])
    assert torch.equal(narrower[0][1].running_mean, module[0][1].running_mean[[0, 2, 4, 6]])


def test_importance_of_a_stream_is_that_of_all_layers_that_make_it(found):
    module, _, groups = found("resnet18")

    scores = l1_importance(module, groups)

    made = [axis for axis in scores if axis in groups["conv1"].steps]
    assert {axis.layer for axis in made} == {"conv1", "layer1.0.conv2", "layer1.1.conv2"}
    assert all(np.isclose(scores[axis].mean(), 1) for axis in made)
    scales = batch_norm_importance(module, groups)
    assert np.allclose(scales[Axis("bn1.weight", 0)], module.bn1.weight.detach().abs())


def test_two_copies_of_one_seed_are_equal(found):
    module, inputs, groups = found("vgg")

    first, again, other = (
        set_width(module, inputs, groups, "0.0", 11, growth=Growth.FRESH, seed=seed) for seed in (4, 4, 5)
    )

    assert torch.equal(first[0][0].weight, again[0][0].weight)
    assert not torch.equal(first[0][0].weight, other[0][0].weight)


def test_what_cannot_move_is_refused_with_the_reason(found):
    module, inputs, groups = found("vit")

    with pytest.raises(UsageError, match="the width of patches is fixed: LayerNorm over its channels"):
        set_width(module, inputs, groups, "patches", 16)
    with pytest.raises(UsageError, match="moves by 9; take 36 or 45"):
        set_width(module, inputs, groups, "blocks.0.attention.qkv", 40)
    with pytest.raises(UsageError, match=r"no width group is called 'head\.x'; those that can move are blocks\.0"):
        set_width(module, inputs, groups, "head.x", 4)


def test_one_group_can_grow_while_another_shrinks(found):
    module, inputs, groups = found("hrank_resnet20")

    changed = set_widths(module, inputs, groups, {"conv1[2]": 16, "blocks.3.conv2": 12, "blocks.6.conv1": 40})

    assert changed.blocks[3].missing == 12
    assert [changed.blocks[each].conv2.out_channels for each in (0, 3, 6)] == [16, 28, 65]
    assert changed(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_half_precision_weights_and_gradients_flags_stay_what_they_are(found):
    module, inputs, groups = found("gated")
    half = copy.deepcopy(module).to(torch.bfloat16)
    half.first.bias.requires_grad_(False)

    wider = set_width(half, tuple(each.to(torch.bfloat16) for each in inputs), groups, "first", 24)

    assert {each.dtype for each in wider.parameters()} == {torch.bfloat16}
    assert [each.requires_grad for each in (wider.first.weight, wider.first.bias)] == [True, False]


def test_a_module_that_computes_something_else_is_caught(found):
    module, inputs, _ = found("vgg")
    other = copy.deepcopy(module)
    with torch.no_grad():
        other[0][0].weight[0, 0, 0, 0] += 0.5

    with pytest.raises(ModelError, match="outputs differ by"):
        check_same_function(module, other, inputs)
