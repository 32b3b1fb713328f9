"""Any bytes give a graph or a ModelError within 10 s and 2 GiB, and the reader lives on.

The memory is not measured but capped: test_worker.py shows that the cap holds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.safety import hostile
from graph.safety.mutation import invented, mutant
from graph.safety.reading import Read
from headroom.errors import ModelError
from headroom.graph.graph import Graph

#: Small files, so that a change hits structure: an old opset, exports of both kinds, a quantised model.
SHARED = ["light_zfnet512", "alexnet", "squeezenet1_1", "stream_fsrcnn", "resnet50_dynamo", "vgg16_bn"]

BUILT = {
    "branches": lambda: hostile.nested_branches(3),
    "function": lambda: hostile.function_with_group(2),
    "loop": lambda: hostile.loop(3),
    "reshape": lambda: hostile.by_constant("Reshape", [8, 64]),
}

BATCH = 100


def _survives(read: Read, content: bytes) -> bool:
    """Whether the bytes gave a graph, or an error that is not the reader's time limit."""
    result = read(content)
    return isinstance(result, Graph | ModelError) and "stopped after" not in str(result)


def _originals(shared_models: Path) -> list[bytes]:
    originals = [(shared_models / f"{name}.onnx").read_bytes() for name in SHARED]
    return originals + [build().SerializeToString() for build in BUILT.values()]


def _harmful_mutants(read: Read, shared_models: Path, first: int) -> list[int]:
    """The seeds from ``first`` on, one batch of them, whose mutants the reader did not survive."""
    originals = _originals(shared_models)
    seeds = range(first, first + BATCH)
    return [seed for seed in seeds if not _survives(read, mutant(originals[seed % len(originals)], seed))]


def _harmful_inventions(read: Read, first: int) -> list[int]:
    """The same for models made from nothing."""
    return [seed for seed in range(first, first + BATCH) if not _survives(read, invented(seed))]


@pytest.mark.parametrize("first", range(0, 2_000, BATCH))
def test_damaged_files_harm_nobody(first: int, read: Read, shared_models: Path) -> None:
    assert _harmful_mutants(read, shared_models, first) == []


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 30_000, BATCH))
def test_damaged_files_harm_nobody_in_the_long_run(first: int, read: Read, shared_models: Path) -> None:
    assert _harmful_mutants(read, shared_models, first) == []


@pytest.mark.parametrize("first", range(0, 500, BATCH))
def test_invented_models_harm_nobody(first: int, read: Read) -> None:
    assert _harmful_inventions(read, first) == []


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 15_000, BATCH))
def test_invented_models_harm_nobody_in_the_long_run(first: int, read: Read) -> None:
    assert _harmful_inventions(read, first) == []
