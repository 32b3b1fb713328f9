"""Attention whose constant mask hides exactly the future is causal, however the user's code makes the mask."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from graph_torch.modules import graph_of
from headroom.graph.kinds import LayerKind
from headroom.graph.work import Attention

LENGTH = 6


def added(scores: Tensor) -> Tensor:
    return scores + torch.full((LENGTH, LENGTH), float("-inf")).triu(1)


def filled(scores: Tensor) -> Tensor:
    return scores.masked_fill(torch.tril(torch.ones(LENGTH, LENGTH)) == 0, float("-inf"))


def chosen(scores: Tensor) -> Tensor:
    rows = torch.arange(LENGTH)
    return torch.where(rows[:, None] >= rows, scores, torch.finfo(scores.dtype).min)


def written_in_place(scores: Tensor) -> Tensor:
    mask = torch.zeros(1, LENGTH, LENGTH)
    mask[0].fill_(float("-inf"))
    return scores + mask.triu_(1)


def hiding_the_past(scores: Tensor) -> Tensor:
    return scores + torch.full((LENGTH, LENGTH), float("-inf")).tril(-1)


def discouraging(scores: Tensor) -> Tensor:
    return scores - torch.ones(LENGTH, LENGTH).triu(1)


@pytest.mark.parametrize("mask", [added, filled, chosen, written_in_place])
def test_a_mask_that_hides_exactly_the_future_makes_attention_causal(mask: Callable[[Tensor], Tensor]) -> None:
    assert attention_under(mask) == Attention(1, 2, LENGTH, LENGTH, 4, 4, kv_heads=2, causal=True)


@pytest.mark.parametrize("mask", [hiding_the_past, discouraging])
def test_any_other_mask_is_just_a_mask(mask: Callable[[Tensor], Tensor]) -> None:
    assert attention_under(mask) == Attention(1, 2, LENGTH, LENGTH, 4, 4, kv_heads=2, masked=True)


def test_the_fused_operator_is_causal_under_such_a_mask_too() -> None:
    def forward(q: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, q, q, added(torch.zeros(())))

    graph = graph_of(forward, torch.zeros(1, 2, LENGTH, 4))
    (layer,) = (layer for layer in graph.layers if layer.kind is LayerKind.ATTENTION)
    assert layer.work == Attention(1, 2, LENGTH, LENGTH, 4, 4, kv_heads=2, causal=True)


def test_a_mask_that_data_was_written_into_is_just_a_mask() -> None:
    def forward(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
        mask[0] = v[0, 0, 0, 0]
        return (q @ k.transpose(-1, -2) + mask).softmax(-1) @ v

    graph = graph_of(forward, *[torch.zeros(1, 2, LENGTH, 4)] * 3)
    (layer,) = (layer for layer in graph.layers if layer.kind is LayerKind.ATTENTION)
    assert layer.work == Attention(1, 2, LENGTH, LENGTH, 4, 4, kv_heads=2, masked=True)


def attention_under(mask: Callable[[Tensor], Tensor]) -> object:
    graph = graph_of(lambda q, k, v: mask(q @ k.transpose(-1, -2)).softmax(-1) @ v, *[torch.zeros(1, 2, LENGTH, 4)] * 3)
    (layer,) = (layer for layer in graph.layers if layer.kind is LayerKind.ATTENTION)
    return layer.work
