"""The layers that are counted are those that take the time."""

from __future__ import annotations

from collections.abc import Iterable

from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise
from headroom.measure.counters.choose import costliest
from headroom.store.rows import Implementation, Status, System, Timing

SYSTEM = System("NVIDIA H200", "580", "13.0", "9.19", "13.1", "2.11")


def layer(width: int, name: str) -> Layer:
    tensor = TensorSpec(f"{name}_in", (width,)), TensorSpec(f"{name}_out", (width,))
    return Layer(name, "Relu", Elementwise("relu", width, 1, True), tensor[:1], (), tensor[1:])


def graph() -> Graph:
    """One wide layer, a narrow one that occurs three times, and one that nobody has measured."""
    layers = (layer(900, "wide"), *(layer(100, f"narrow{i}") for i in range(3)), layer(7, "unknown"))
    return Graph("g", layers, tuple(x.inputs[0] for x in layers), tuple(x.outputs[0] for x in layers), 1)


class Known:
    """A database in which a layer takes as many microseconds as ``times_us`` says of its width."""

    def __init__(self, times_us: dict[int, float]) -> None:
        self.rows = {
            Chain.of([layer(width, "any")]).digest: Timing(
                Implementation("torch", f"relu{width}"), "warm", Status.OK, median_us=time_us
            )
            for width, time_us in times_us.items()
        }

    def best(self, system: System, dtype: DataType, l2: str, digests: Iterable[str]) -> dict[str, Timing]:
        assert (system, dtype, l2) == (SYSTEM, DataType.BF16, "warm")
        return {digest: self.rows[digest] for digest in digests if digest in self.rows}


def names(times_us: dict[int, float], most: int = 9) -> list[str]:
    return [s.implementation.name for s in costliest(graph(), DataType.BF16, Known(times_us), SYSTEM, most=most)]


def test_what_takes_longest_comes_first_with_its_fastest_implementation() -> None:
    assert names({900: 20.0, 100: 5.0}) == ["relu900", "relu100"]


def test_a_layer_that_occurs_often_counts_as_often() -> None:
    assert names({900: 20.0, 100: 9.0}) == ["relu100", "relu900"]


def test_no_more_are_counted_than_asked_for_and_none_without_a_time() -> None:
    assert names({900: 20.0, 100: 9.0}, most=1) == ["relu100"]
    assert names({}) == []
