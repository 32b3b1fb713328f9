"""Torch-Pruning's dependency graph beside the trace: agreement where it follows, the proof where it does not."""

from __future__ import annotations

import pytest

from headroom.change.widths.groups.second_opinion import second_opinion

pytest.importorskip("torch_pruning")

AGREED = ("alexnet", "resnet18", "densenet", "efficientnet", "bert", "gated")


@pytest.mark.parametrize("name", AGREED)
def test_two_methods_that_know_nothing_of_each_other_find_the_same_layers(found, name):
    opinions = second_opinion(*found(name))

    assert len(opinions) == len(found(name)[2].free)
    assert all(opinion.agrees for opinion in opinions), opinions


def test_its_graph_takes_a_padded_shortcut_for_one_stream(found):
    opinions = {opinion.group: opinion for opinion in second_opinion(*found("hrank_resnet20"))}

    # Channels 0 to 6 of the second stage are zeros of the padding: no layer of the first stage has them.
    wrong = opinions["blocks.3.conv2"]
    assert ("blocks.0.conv2", "out") in wrong.only_graph
    assert opinions["blocks.3.conv1"].agrees


def test_where_its_graph_fails_the_reason_is_kept(found):
    opinions = second_opinion(*found("shufflenet_v2"))

    assert all(opinion.failed for opinion in opinions)
    assert "ZeroDivisionError" in (opinions[0].failed or "")
