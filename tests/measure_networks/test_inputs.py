"""Inputs are random, never zeros, and integers stay in range."""

from __future__ import annotations

import torch

from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Embedding, Free
from headroom.measure.networks.inputs import for_graph, like_examples

CPU = torch.device("cpu")


def test_examples_of_zeros_become_random_values_of_the_runs_type() -> None:
    (image,), _ = like_examples(torch.zeros(1, 3, 8, 8), None, torch.bfloat16, CPU)
    assert image.dtype == torch.bfloat16
    assert image.shape == (1, 3, 8, 8)
    assert float(image.float().std()) > 0.5


def test_the_batch_follows_in_every_tensor_that_has_it() -> None:
    args, kwargs = like_examples(
        {"x": torch.zeros(2, 5), "mask": torch.ones(2, 5, dtype=torch.bool)}, 7, torch.float32, CPU
    )
    assert args == ()
    assert {name: tuple(value.shape) for name, value in kwargs.items()} == {"x": (7, 5), "mask": (7, 5)}
    assert bool(kwargs["mask"].all())


def test_integers_are_drawn_from_the_examples_own() -> None:
    (tokens,), _ = like_examples((torch.tensor([[3, 11, 29]]),), 64, torch.float32, CPU)
    assert tokens.dtype == torch.int64
    assert set(tokens.flatten().tolist()) == {3, 11, 29}


def test_arguments_that_are_no_tensors_stay() -> None:
    args, _ = like_examples((torch.zeros(1, 2), 0.5, None), None, torch.float32, CPU)
    assert args[1:] == (0.5, None)


def test_a_graphs_tokens_stay_inside_the_table_that_they_look_up() -> None:
    tokens, view = TensorSpec("tokens", (4, 500), "int64"), TensorSpec("flat", (2000,), "int64")
    table, rows = TensorSpec("table", (9, 8)), TensorSpec("y", (2000, 8))
    layers = (
        Layer("view", "Reshape", Free("reshape"), (tokens,), (), (view,)),
        Layer("words", "Gather", Embedding(2000, 8), (view,), (table,), (rows,)),
    )
    (values,) = for_graph(Graph("g", layers, (tokens,), (rows,), 4), torch.float32, CPU)
    assert set(values.flatten().tolist()) == set(range(9))


def test_a_graphs_masks_keep_everything() -> None:
    mask = TensorSpec("mask", (4, 5), "bool")
    (values,) = for_graph(Graph("g", (), (mask,), (mask,), 4), torch.float32, CPU)
    assert bool(values.all())
