"""Exports are slow: each network of the zoo is read once per session."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from headroom.graph.graph import Graph

# Everything here needs the extra headroom[torch]; without it the rest of the suite still runs.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

Read = Callable[[str], "Graph"]


@pytest.fixture(scope="session")
def read() -> Read:
    """Read a network of the zoo by name."""
    from graph_torch import zoo
    from headroom.graph.torch.reader import read_module

    graphs: dict[str, Graph] = {}

    def reader(name: str) -> Graph:
        if name not in graphs:
            graphs[name] = read_module(*getattr(zoo, name)(), name=name)
        return graphs[name]

    return reader
