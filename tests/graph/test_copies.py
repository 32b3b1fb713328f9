"""Copies that a neighbouring kernel does without."""

from __future__ import annotations

import pytest

from headroom.graph.copies import absorbed_copies, is_copy
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Elementwise, Free, Matmul, Movement, Work

SHAPE = (4, 8)


def graph(*layers: tuple[Work, str, str]) -> Graph:
    """Layers as (work, names of what they read, name of what they write)."""
    made = tuple(
        Layer(out, "", work, tuple(TensorSpec(name, SHAPE) for name in read.split()), (), (TensorSpec(out, SHAPE),))
        for work, read, out in layers
    )
    return Graph("copies", made, (TensorSpec("x", SHAPE),), (TensorSpec(made[-1].name, SHAPE),), 4)


MATMUL, RELU = Matmul(4, 8, 8), Elementwise("relu", 32, activation=True)
TRANSPOSE, CONCAT, VIEW = Movement("transpose", 32), Movement("concat", 32), Free("reshape")


def test_a_transpose_is_read_through_strides_by_its_reader() -> None:
    assert absorbed_copies(graph((TRANSPOSE, "x", "a"), (MATMUL, "a", "b"))) == {0}


def test_a_concatenation_is_written_in_place_by_its_makers() -> None:
    assert absorbed_copies(graph((RELU, "x", "a"), (RELU, "x", "b"), (CONCAT, "a b", "c"))) == {2}


def test_views_and_other_copies_may_stand_between() -> None:
    assert absorbed_copies(graph((TRANSPOSE, "x", "a"), (VIEW, "a", "b"), (CONCAT, "b b", "c"), (RELU, "c", "d"))) == {
        0,
        2,
    }


def test_where_copying_is_the_work_it_counts() -> None:
    assert absorbed_copies(graph((TRANSPOSE, "x", "a"), (VIEW, "a", "b"), (CONCAT, "b x", "c"))) == frozenset()


@pytest.mark.parametrize(
    ("work", "inputs", "expected"),
    [
        (Movement("gather", 32, partial_read=True), "x", True),
        (Movement("gather", 32, partial_read=True), "x i", False),
        (Movement("scatternd", 32), "x i u", False),
        (Movement("resize", 32, flops_per_element=4), "x", False),
        (Movement("nonzero", 32), "x", False),
        (MATMUL, "x", False),
    ],
)
def test_only_places_that_the_shapes_tell_make_a_copy(work: Work, inputs: str, expected: bool) -> None:
    assert is_copy(graph((work, inputs, "a")).layers[0]) is expected
