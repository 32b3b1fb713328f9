"""What every test here needs, and says that it needs where it skips."""

from __future__ import annotations

import pytest

from headroom.errors import GpuError
from headroom.gpu.detect import detect_gpu


@pytest.fixture(scope="session")
def a_gpu() -> None:
    """Skips where the driver shows no GPU that there is a sheet for."""
    try:
        detect_gpu()
    except GpuError as error:
        pytest.skip(f"needs an NVIDIA GPU: {error}")


@pytest.fixture(scope="session")
def a_free_gpu(a_gpu: None) -> None:
    """For what wants the GPU to itself, and would refuse one that this process computes on: such tests run first."""


@pytest.hookimpl(trylast=True)  # behind whatever shuffles
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "a_free_gpu" not in getattr(item, "fixturenames", ()))
