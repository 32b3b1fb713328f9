"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _shared_folder() -> Path:
    return Path(os.environ.get("HEADROOM_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real models and measured tables; tests that need it skip where it is absent."""
    folder = _shared_folder() / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the shared data folder {folder} (set HEADROOM_SHARED)")
    return folder


@pytest.fixture(scope="session")
def shared_models(shared_data: Path) -> Path:
    return shared_data / "models"
