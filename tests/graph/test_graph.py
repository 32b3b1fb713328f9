"""What follows from a graph's edges: paths, memory, configurations, coverage."""

from __future__ import annotations

import pytest

from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise, Embedding, Free, Matmul, Unknown, Work


def layer(name: str, reads: str, size: int = 8, work: Work | None = None, weight: str = "") -> Layer:
    """A layer that writes a tensor of its own name with ``size`` fp32 values."""
    return Layer(
        name,
        "Op",
        work or Elementwise("add", size),
        tuple(TensorSpec(read, (8,)) for read in reads.split()),
        (TensorSpec(weight, (100,)),) if weight else (),
        (TensorSpec(name, (size,)),),
    )


def graph(*layers: Layer, outputs: str = "") -> Graph:
    names = outputs.split() or [layers[-1].name]
    results = tuple(t for each in layers for t in each.outputs if t.name in names)
    return Graph("test", layers, (TensorSpec("x", (8,)),), results, batch=1)


DIAMOND = graph(layer("a", "x"), layer("b", "a"), layer("c", "a"), layer("d", "b c"))


def test_predecessors_are_the_layers_that_write_what_one_reads() -> None:
    assert DIAMOND.predecessors == ((), (0,), (0,), (1, 2))


def test_the_critical_path_takes_the_slower_branch() -> None:
    assert DIAMOND.critical_path([1.0, 5.0, 2.0, 1.0]) == (7.0, (0, 1, 3))
    assert DIAMOND.critical_path([1.0, 2.0, 5.0, 1.0]) == (7.0, (0, 2, 3))


def test_an_empty_graph_has_an_empty_path() -> None:
    assert Graph("empty", (), (), (), 1).critical_path([]) == (0.0, ())


def test_the_critical_path_does_not_need_to_end_in_the_last_layer() -> None:
    branches = graph(layer("a", "x"), layer("b", "x"), outputs="a b")
    assert branches.critical_path([3.0, 1.0]) == (3.0, (0,))


def test_a_chain_holds_two_tensors_at_once() -> None:
    chain = graph(layer("a", "x"), layer("b", "a"), layer("c", "b"))
    assert chain.peak_activation_bytes(DataType.FP32) == 2 * 8 * 4


def test_a_tensor_that_is_read_late_stays() -> None:
    residual = graph(layer("a", "x"), layer("b", "a"), layer("c", "b"), layer("d", "c a"))
    assert residual.peak_activation_bytes(DataType.FP32) == 3 * 8 * 4


def test_a_view_takes_no_memory_and_keeps_its_source() -> None:
    with_view = graph(layer("a", "x"), layer("v", "a", work=Free("reshape")), layer("b", "v"), layer("c", "v b"))
    assert with_view.peak_activation_bytes(DataType.FP32) == 3 * 8 * 4


def test_memory_follows_the_data_type() -> None:
    assert DIAMOND.peak_activation_bytes(DataType.FP16) * 2 == DIAMOND.peak_activation_bytes(DataType.FP32)


def test_a_shared_weight_is_counted_once() -> None:
    shared = graph(layer("a", "x", weight="w"), layer("b", "a", weight="w"), layer("c", "b", weight="v"))
    assert shared.weight_bytes(DataType.FP32) == 2 * 400


def test_configurations_group_equal_layers_in_order_of_appearance() -> None:
    mixed = graph(
        layer("a", "x"), layer("b", "a", work=Matmul(2, 4, 8)), layer("c", "b"), layer("v", "c", work=Free("v"))
    )
    assert [(c.layer.name, c.members) for c in mixed.configurations] == [("a", (0, 2)), ("b", (1,))]


def test_coverage_weighs_nodes_and_macs() -> None:
    unknown = Unknown("Mystery", "nobody knows it", estimated_macs=64)
    half = graph(layer("a", "x", work=Matmul(2, 4, 8)), layer("b", "a", work=unknown), layer("v", "b", work=Free("v")))
    coverage = half.coverage
    assert (coverage.known_share, coverage.known_macs_share) == (0.5, 0.5)
    assert coverage.unknown_layers == ("b",)


@pytest.mark.parametrize("count", [0, 3])
def test_a_graph_without_unknowns_is_wholly_known(count: int) -> None:
    layers = tuple(layer(f"l{i}", "x") for i in range(count))
    coverage = Graph("g", layers, (), (), 1).coverage
    assert (coverage.known_share, coverage.known_macs_share, coverage.unknown_layers) == (1.0, 1.0, ())


def test_a_lookup_reads_the_rows_it_needs_and_not_the_table() -> None:
    table, out = TensorSpec("table", (50_000, 768)), TensorSpec("out", (4, 768))
    lookup = Layer("e", "Gather", Embedding(4, 768), (TensorSpec("ids", (4,), "int64"),), (table,), (out,))
    model = Graph("g", (lookup,), lookup.inputs, (out,), batch=1)
    assert model.weight_bytes(DataType.FP32) == 50_000 * 768 * 4
    assert model.weight_bytes_read(DataType.FP32) == 4 * 768 * 4
