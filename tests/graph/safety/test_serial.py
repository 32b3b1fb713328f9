"""A graph survives the way between two processes, and nothing but a graph comes back."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.onnx.client import ReaderWorker
from headroom.graph.serial import graph_from_json, graph_to_json, work_records
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Softmax, Work

CONV = Convolution(2, 8, 16, (9, 7), (9, 7), (3, 3), (1, 1), ((1, 1), (0, 1)), (1, 1), 2, "dgrad")


def graph_of(*works: Work) -> Graph:
    tensor = TensorSpec("näme", (2, 8, 9, 7), "float16")
    part = Layer("part", "Softmax", Softmax(3, 4), (tensor,), (), (tensor,))
    layers = tuple(Layer(f"l{i}", "Op", work, (tensor,), (tensor,), (), "a.b", (part,)) for i, work in enumerate(works))
    return Graph("g", layers, (tensor,), (), 2, ("a note",))


def there_and_back(graph: Graph) -> Graph:
    return graph_from_json(json.loads(json.dumps(graph_to_json(graph))))


def example(record: type[Any]) -> Work:
    """A record with a plausible value in every field, by its annotation."""
    values = {
        "int": 4,
        "str": "lstm",
        "bool": True,
        "tuple[int, ...]": (2, 3),
        "tuple[tuple[int, int], ...]": ((1, 2),),
    }
    made: Work = record(**{field.name: values[str(field.type)] for field in dataclasses.fields(record)})
    return made


@pytest.mark.parametrize("name", sorted(work_records()))
def test_every_kind_of_work_survives(name: str) -> None:
    graph = graph_of(example(work_records()[name]))
    assert there_and_back(graph) == graph


def test_a_whole_graph_survives() -> None:
    graph = graph_of(CONV, Softmax(1, 2))
    back = there_and_back(graph)
    assert back == graph
    assert isinstance(back.layers[0].work, Convolution)


@pytest.mark.alone
def test_shared_models_survive_in_milliseconds(reader: ReaderWorker, shared_models: Path) -> None:
    graph = reader.read(shared_models / "resnet152.onnx")
    start = time.perf_counter()
    back = there_and_back(graph)
    assert time.perf_counter() - start < 0.5  # about 10 ms on an idle core
    assert back == graph


WRONG: list[tuple[list[Any], Any, str]] = [
    # where in the answer, what stands there instead, what is said
    ([], {}, "an object is not a Graph of 6 values"),
    ([], [1, 2], "a list of 2 is not a Graph of 6 values"),
    ([0], 7, "7 is not text"),
    ([1], "layers", "'layers' is not a list"),
    ([1, 0], None, "None is not a Layer of 8 values"),
    ([1, 0, 2, 0], "os.system", "'os.system' is no kind of work"),
    ([1, 0, 2, 0], "Gemm", "'Gemm' is no kind of work"),
    ([1, 0, 2], [], "is not a layer's work"),
    ([1, 0, 2, 1], True, "True is not a 64-bit integer"),
    ([1, 0, 2, 1], 1.0, "1.0 is not a 64-bit integer"),
    ([1, 0, 2, 1], 2**64, "is not a 64-bit integer"),
    ([1, 0, 2, 10], 0, "does not add up: ZeroDivisionError"),
    ([1, 0, 2, 8, 0], [1, 2, 3], "a list of 3 is not a tuple of 2 values"),
    ([2, 0, 1, 0], "9", "'9' is not a 64-bit integer"),
    ([4], None, "None is not a 64-bit integer"),
]


@pytest.mark.parametrize(("place", "value", "sentence"), WRONG)
def test_anything_else_is_refused(place: list[Any], value: Any, sentence: str) -> None:
    data: Any = json.loads(json.dumps([graph_to_json(graph_of(CONV))]))
    parent = data
    for key in [0, *place][:-1]:
        parent = parent[key]
    parent[[0, *place][-1]] = value
    with pytest.raises(ModelError) as caught:
        graph_from_json(data[0])
    assert sentence in str(caught.value)


def test_layers_nested_without_end_are_refused() -> None:
    data = json.loads(json.dumps(graph_to_json(graph_of(CONV))))
    layer = data[1][0]
    for _ in range(3_000):
        layer = [*layer[:7], [layer]]
    data[1] = [layer]
    with pytest.raises(ModelError, match="does not add up: RecursionError"):
        graph_from_json(data)


def test_random_damage_gives_a_graph_or_a_model_error() -> None:
    rng = random.Random(3)
    original = json.loads(json.dumps(graph_to_json(graph_of(CONV, Softmax(1, 2)))))
    for _ in range(2_000):
        data = copy.deepcopy(original)
        spot: Any = data
        while True:
            key = rng.randrange(len(spot)) if spot else 0
            if not spot or not isinstance(spot[key], list) or rng.random() < 0.2:
                break
            spot = spot[key]
        if spot:
            spot[key] = rng.choice([None, -1, 0, "", "x", [], {}, 2**63, 1.5, True, [[]]])
        with suppress(ModelError):
            assert isinstance(graph_from_json(data), Graph)
