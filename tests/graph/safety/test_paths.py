"""What stands at the given path, and where the file's own paths lead: nothing waits and nothing is followed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest

from graph.safety import hostile
from graph.safety.faults import command_with_audit
from headroom.errors import ModelError
from headroom.graph.graph import Graph
from headroom.graph.onnx.client import ReaderWorker


def refusal(reader: ReaderWorker, path: Path) -> str:
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        reader.read(path)
    assert time.monotonic() - start < 3.0
    return str(caught.value)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(hostile.conv().SerializeToString())
    return path


def test_a_missing_file(reader: ReaderWorker, tmp_path: Path) -> None:
    assert refusal(reader, tmp_path / "none.onnx") == f"cannot read {tmp_path / 'none.onnx'}: no such file"


def test_a_folder(reader: ReaderWorker, tmp_path: Path) -> None:
    assert refusal(reader, tmp_path).endswith("it is a folder, not a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(reader: ReaderWorker, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    assert refusal(reader, tmp_path / "pipe.onnx").endswith("it is a device or a pipe, not a file")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_device_without_end(reader: ReaderWorker, tmp_path: Path) -> None:
    link = tmp_path / "zero.onnx"
    link.symlink_to("/dev/zero")
    assert refusal(reader, link).endswith("it is a device or a pipe, not a file")


def test_a_link_to_itself(reader: ReaderWorker, tmp_path: Path) -> None:
    link = tmp_path / "loop.onnx"
    link.symlink_to(link)
    assert "too many levels of symbolic links" in refusal(reader, link)


def test_a_link_to_a_model_is_followed(reader: ReaderWorker, model: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(model)
    assert len(reader.read(link).layers) == 1


def test_a_name_with_a_zero_byte(reader: ReaderWorker) -> None:
    assert "not a file name" in refusal(reader, Path("a\0b.onnx"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems insist on UTF-8 names")
def test_a_name_that_is_no_text(reader: ReaderWorker, model: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.onnx"))
    path.write_bytes(model.read_bytes())
    assert len(reader.read(path).layers) == 1


def test_a_relative_name(reader: ReaderWorker, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model.parent)
    graph = reader.read(model.name)
    assert graph.name == "small"


STRACE = "/usr/bin/strace"

ELSEWHERE = ["../../../../../../etc/passwd", "/etc/passwd", "/dev/zero", "/dev/stdin", "link", "", "a\0b", "\x1b[2J"]


@pytest.mark.parametrize("location", ELSEWHERE)
def test_weights_elsewhere_are_left_there(location: str, reader: ReaderWorker, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    path = tmp_path / "model.onnx"
    tensors = [hostile.external("w", (16, 8, 3, 3), location)]
    made = hostile.model([hostile.node("Conv", ["x", "w"], ["y"])], constants=tensors)
    path.write_bytes(made.SerializeToString())
    assert isinstance(reader.read(path), Graph)


def test_reading_raises_no_audit_event(shared_models: Path) -> None:
    """Python reports every open, import, compilation, execution, fork and connection; none happens."""
    with ReaderWorker(command=command_with_audit()) as worker:
        for path in sorted(shared_models.glob("*.onnx")):
            assert isinstance(worker.read(path), Graph)


@pytest.mark.parametrize("statement", ["open(os.devnull)", "import antigravity", "eval('1')", "os.system('true')"])
def test_the_audit_would_see_it(statement: str, shared_models: Path) -> None:
    with ReaderWorker(command=command_with_audit(statement)) as worker, pytest.raises(ModelError):
        worker.read(shared_models / "alexnet.onnx")


def _is_system_library(path: str) -> bool:
    return path == "/etc/ld.so.cache" or (path.startswith(("/lib", "/usr/lib")) and ".so" in path)


def _opened_files(trace: str) -> set[str]:
    """Paths of all successful opens in the output of strace."""
    opened = set()
    for line in trace.splitlines():
        if ("open(" in line or "openat(" in line) and "= -1" not in line and '"' in line:
            opened.add(line.split('"')[1])
    return opened


@pytest.mark.skipif(not Path(STRACE).exists(), reason="needs strace (apt-get install strace)")
def test_the_system_sees_no_file_but_the_model(shared_models: Path, tmp_path: Path) -> None:
    """strace over parent and children: from the model's opening on, nothing else is opened or started."""
    made = onnx.load(shared_models / "resnet18.onnx", load_external_data=False)
    outside = [tensor for tensor in made.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL]
    for index, tensor in enumerate(outside):
        tensor.external_data[0].value = ELSEWHERE[index % len(ELSEWHERE)]
    path, log = tmp_path / "traced.onnx", tmp_path / "trace"
    path.write_bytes(made.SerializeToString())
    program = "import sys; from headroom.graph.onnx.client import read_onnx; read_onnx(sys.argv[1])"
    calls = "trace=open,openat,openat2,execve,execveat,connect,socket"
    traced = subprocess.run(
        [STRACE, "-f", "-qq", "-e", calls, "-o", log, sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in traced.stderr.lower():
        pytest.skip(f"strace may not trace here: {traced.stderr.strip()[:100]}")
    assert traced.returncode == 0, traced.stderr
    trace = log.read_text()
    after = trace.partition(str(path))[2]
    # The parent's C library loads its unwinder when a thread ends.
    assert {path for path in _opened_files(after) if not _is_system_library(path)} == set()
    assert "connect(" not in trace
    started = [line for line in trace.splitlines() if "execve" in line]
    assert len(started) == 2, "Python, and Python once more for the worker"
    assert sys.executable in started[1]
