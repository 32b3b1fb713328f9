"""A model of a few small layers, its exported benchmarks, and their program: built once for all test processes."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import onnx
import pytest

import headroom as hr
from headroom.measure.travel.order import Order, fill
from headroom.store import default
from measure_travel.building import Built, Compiler, build
from measure_travel.headers import include_folders
from onnx_models import model, node

_OPERATORS = [
    node("Conv", "x w b", "c", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
    node("Relu", "c", "r"),
    node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
    node("Conv", "p w2", "c2", kernel_shape=[1, 1]),
    node("Add", "c2 p", "a"),
    node("Relu", "a", "r2"),
    node("Flatten", "r2", "f"),
    node("Gemm", "f w3 b3", "y", transB=1),
]
_WEIGHTS = {"w": [8, 3, 3, 3], "b": [8], "w2": [8, 8, 1, 1], "w3": [10, 128], "b3": [10]}


@pytest.fixture(autouse=True)
def _no_database_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests never see the database of whoever runs them."""
    monkeypatch.delenv(default.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(default, "shipped_files", lambda: ())


def save_small_model(path: Path) -> Path:
    onnx.save(model(_OPERATORS, {"x": [1, 3, 8, 8]}, weights=_WEIGHTS), path)
    return path


@pytest.fixture
def small_model(tmp_path: Path) -> Path:
    return save_small_model(tmp_path / "small.onnx")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The program of the small model's benchmarks in fp32 and bf16, on libraries made of loops."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("needs a C++ compiler (apt-get install g++)")
    # Of several test processes each has a folder of its own below one that they share.
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "travelling"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _built(shared, Compiler(compiler, _includes(shared), shared))


def _includes(shared: Path) -> list[Path]:
    """The headers' folders; where one test process waited for them in vain, no other does."""
    note = shared / "no_headers"
    if not note.exists():
        try:
            return include_folders()
        except OSError as error:
            note.write_text(f"needs the vendors' headers, which the package index does not give: {error}", "utf-8")
    pytest.skip(note.read_text("utf-8"))


def _built(shared: Path, compiler: Compiler) -> Built:
    folder, saved = shared / "bench", shared / "small.onnx"
    done = shared / "done"
    if done.exists():
        return Built(folder, saved, shared / "headroom_benchmarks", shared / "without_graphs")
    dtypes = (hr.DataType.FP32, hr.DataType.BF16)
    fill(folder, [hr.load(save_small_model(saved))], Order(dtypes), "small.onnx")
    made = build(compiler, folder, saved, shared)
    done.touch()
    return made
