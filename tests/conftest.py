"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A shell's background job starts with Ctrl-C ignored, and so would every command that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long runs of the promise tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs are chosen on purpose: by ``--long``, or by an expression of markers that names them."""
    if config.getoption("--long") or "long" in config.getoption("-m"):
        return
    kept = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
    items[:] = kept


@pytest.fixture(scope="session", autouse=True)
def _no_database_of_the_developers_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Answers are made of measurements: those that happen to lie on this machine must not decide a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HEADROOM_DB", raising=False)
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


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


@pytest.fixture(params=[True])
def fused_encoder(request: pytest.FixtureRequest) -> Iterator[None]:
    """PyTorch's fused transformer encoder, on unless the test's parameter says otherwise; afterwards as it was."""
    mha = pytest.importorskip("torch").backends.mha
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(request.param)
    yield
    mha.set_fastpath_enabled(before)
