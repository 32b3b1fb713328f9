"""Layers' widths in terms of their groups': what they say before a change is what layers have after it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from torch import nn

from headroom.change.widths.groups import layer_widths, set_widths

NAMES = ("densenet", "efficientnet", "resnext", "shufflenet_v1", "shufflenet_v2", "hrank_resnet20", "vit", "unet")


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_gets_the_widths_that_were_foretold(found, name):
    module, inputs, groups = found(name)
    widths = {group.name: group.width + (1 + index % 3) * group.unit for index, group in enumerate(groups.free)}
    told = layer_widths(module, groups)

    changed = set_widths(module, inputs, groups, widths)

    for each in told:
        layer = changed.get_submodule(each.layer)
        linear = isinstance(layer, nn.Linear)
        had = (layer.in_features, layer.out_features) if linear else (layer.in_channels, layer.out_channels)
        assert (each.inputs.at(widths), each.outputs.at(widths)) == had, each
    assert len(told) == sum(isinstance(each, (nn.Linear, nn.modules.conv._ConvNd)) for each in module.modules())


def test_a_projection_reads_a_third_of_fused_queries_keys_and_values(found):
    module, _, groups = found("vit")

    (proj,) = (each for each in layer_widths(module, groups) if each.layer == "blocks.0.attention.proj")

    assert proj.inputs.parts == {"blocks.0.attention.qkv": Fraction(1, 3)}
    assert (proj.inputs.fixed, proj.outputs.fixed, proj.outputs.parts) == (0, 12, {})
