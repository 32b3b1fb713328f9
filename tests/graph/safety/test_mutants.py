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


def _survives(read: Read, content: bytes, label: str) -> None:
    result = read(content)
    assert isinstance(result, Graph | ModelError), label
    assert "stopped after" not in str(result), f"{label} ran into the time limit"


def _originals(shared_models: Path) -> list[bytes]:
    originals = [(shared_models / f"{name}.onnx").read_bytes() for name in SHARED]
    return originals + [build().SerializeToString() for build in BUILT.values()]


def _run_mutants(read: Read, shared_models: Path, first: int) -> None:
    originals = _originals(shared_models)
    for seed in range(first, first + BATCH):
        _survives(read, mutant(originals[seed % len(originals)], seed), f"mutant {seed}")


@pytest.mark.parametrize("first", range(0, 2_000, BATCH))
def test_damaged_files_harm_nobody(first: int, read: Read, shared_models: Path) -> None:
    _run_mutants(read, shared_models, first)


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 30_000, BATCH))
def test_damaged_files_harm_nobody_in_the_long_run(first: int, read: Read, shared_models: Path) -> None:
    _run_mutants(read, shared_models, first)


@pytest.mark.parametrize("first", range(0, 500, BATCH))
def test_invented_models_harm_nobody(first: int, read: Read) -> None:
    for seed in range(first, first + BATCH):
        _survives(read, invented(seed), f"invention {seed}")


@pytest.mark.long
@pytest.mark.parametrize("first", range(10_000, 15_000, BATCH))
def test_invented_models_harm_nobody_in_the_long_run(first: int, read: Read) -> None:
    for seed in range(first, first + BATCH):
        _survives(read, invented(seed), f"invention {seed}")
