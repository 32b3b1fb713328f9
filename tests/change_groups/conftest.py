"""Discovery runs a network many times: each of the zoo is searched once per session."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from headroom.change.widths.groups import WidthGroups

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

Found = tuple[Any, Any, "WidthGroups"]


@pytest.fixture(scope="session")
def found() -> Callable[[str], Found]:
    """A network of the zoo with random weights, its example inputs and its groups, by name."""
    import torch

    from change_groups import zoo
    from headroom.change.widths.groups import width_groups

    known: dict[str, Found] = {}

    def find(name: str) -> Found:
        if name not in known:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                module, inputs = getattr(zoo, name)()
            known[name] = (module.eval(), inputs, width_groups(module, inputs))
        return known[name]

    return find
