"""The ONNX project's own examples, one or more per operator, with the results that running them gives."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx.read import build_graph

#: Of 1884 examples; the rest have empty or non-tensor inputs, or sizes that only the data decides.
_AT_LEAST_READ = 1650


def _examples() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return [case for case in collect_testcases(None) if case.model is not None and case.data_sets]


@pytest.fixture(scope="module")
def read_examples() -> list[tuple[Any, Graph]]:
    """Every example that is read; anything but a ModelError fails here."""
    return list(_read(_examples()))


def _read(cases: list[Any]) -> Iterator[tuple[Any, Graph]]:
    for case in cases:
        try:
            yield case, build_graph(case.model, name=case.name)
        except ModelError:
            continue


def test_nearly_all_examples_are_read(read_examples: list[tuple[Any, Graph]]) -> None:
    assert len(read_examples) >= _AT_LEAST_READ


def test_shapes_are_those_that_running_the_example_gives(read_examples: list[tuple[Any, Graph]]) -> None:
    """Unless a note says that the data decides, or an unknown operator stands in the way."""
    wrong = []
    for case, graph in read_examples:
        if graph.notes or graph.coverage.unknown_layers:
            continue
        for result, spec in zip(case.data_sets[0][1], graph.outputs, strict=True):
            if isinstance(result, np.ndarray) and result.shape != spec.shape:
                wrong.append((case.name, result.shape, spec.shape))
    assert wrong == []


def test_no_example_of_a_neural_operator_is_unknown(read_examples: list[tuple[Any, Graph]]) -> None:
    """What is left: text, images in files, classical machine learning, and control flow that data decides."""
    unknown = {
        layer.operator
        for _, graph in read_examples
        for layer in graph.working_layers
        if layer.name in graph.coverage.unknown_layers
    }
    assert {name for name in unknown if not name.startswith("ai.onnx.ml::")} <= {
        "If", "ImageDecoder", "Loop", "RegexFullMatch", "Scan", "StringConcat", "StringNormalizer", "StringSplit",
        "TfIdfVectorizer",
    }  # fmt: skip
