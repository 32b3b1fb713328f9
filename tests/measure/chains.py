"""Chains and tasks for the tests of this room."""

from __future__ import annotations

import json

import builders
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.tensor import DataType
from headroom.measure.task import Task

CONV = Chain.of([builders.conv("c", "x")])
RELU = Chain.of([builders.relu("r", "x")])
FUSED = Chain.of([builders.conv("c", "x"), builders.batch_norm("b", "c"), builders.relu("r", "b")])


def task(chain: Chain = RELU, **changes: object) -> Task:
    return Task(chain, DataType.BF16, **changes)  # type: ignore[arg-type]


def script(*faults: dict[str, object], **fields: object) -> str:
    """What ``HEADROOM_BENCH`` is set to."""
    return "fake:" + json.dumps({"fail": faults, **fields})


def net() -> Graph:
    """Two convolutions of different sizes, each with batch normalisation and ReLU, and a classifier."""
    return builders.graph(
        builders.conv("c1", "x"),
        builders.batch_norm("b1", "c1"),
        builders.relu("r1", "b1"),
        builders.conv("c2", "r1"),
        builders.relu("r2", "c2"),
        builders.matmul("fc", "flat", 1, 1000, 512),
        outputs=["r2", "fc"],
    )
