"""Plans of the small networks, each made once per session from theory alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]


@pytest.fixture(scope="session")
def fitted() -> Callable[..., Any]:
    """The plan of a network by its name, for a goal."""
    import headroom as hr

    made: dict[tuple[Any, ...], Any] = {}

    def fit(name: str, **options: Any) -> Any:
        key = (name, *sorted(options.items()))
        if key not in made:
            address = name if ":" in name else f"change_fit.networks:{name}"
            made[key] = hr.fit(address, "h200", **{"batch": 128, "source": "predicted", **options})
        return made[key]

    return fit
