"""Whatever happens to the process that reads a file, its parent gets one sentence and reads on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graph.safety import hostile
from graph.safety.faults import command_with_fault
from headroom.errors import HeadroomError, ModelError
from headroom.graph.onnx import limits
from headroom.graph.onnx.client import ReaderWorker, read_onnx, worker_command

MIB = 1 << 20

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="faults are injected into a forked reader")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(hostile.conv().SerializeToString())
    return path


@pytest.fixture
def marker() -> str:
    """An argument by which the processes of one test are found."""
    return f"marker-{os.getpid()}-{time.monotonic_ns()}"


FAULTS = {
    "abort": ("os.abort()", "the ONNX library was ended by SIGABRT while it read the file; the file is malformed"),
    "segmentation fault": ("ctypes.string_at(0)", "ended by SIGSEGV"),
    "quiet exit": ("os._exit(0)", "answered with something else than a graph"),
    "exit with a status": ("os._exit(7)", "ended without an answer"),
    "endless loop": ("while True: pass", "reading it was stopped after 1 s"),
    "endless sleep": ("time.sleep(60)", "reading it was stopped after 1 s"),
    "endless memory": ("hoard = [bytearray(16 << 20) for _ in range(1000)]", "takes more than 512 MiB of memory"),
    "endless recursion": ("misbehave(model, name, batch, dims)", "nested too deep"),
    "an accident": ("1 / 0", "the reader stumbled over it: ZeroDivisionError: division by zero"),
    "garbage": ("say(b'{]' * 9); os._exit(0)", "something else than a graph"),
    "endless garbage": ("while True: say(b'x' * 65536)", "describes more than 64 MiB"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_reader_that_dies_costs_one_file(name: str, model: Path) -> None:
    statement, sentence = FAULTS[name]
    other = model.with_name("other.onnx")
    other.write_bytes(model.read_bytes())
    with ReaderWorker(time_limit_s=1.0, memory_bytes=512 * MIB, command=command_with_fault(statement)) as worker:
        with pytest.raises(ModelError) as caught:
            worker.read(model)
        assert str(caught.value).startswith(f"cannot read {model}: ")
        assert sentence in str(caught.value)
        assert len(worker.read(other).layers) == 1


FORGERIES = {
    "a graph of no fields": [],
    "a layer of an unknown kind": ["g", [["l", "Op", ["Evil"], [], [], [], "", []]], [], [], 1, []],
    "a convolution of no groups": [
        "g",
        [["l", "Conv", ["Convolution", 1, 8, 8, [1], [1], [1], [1], [[0, 0]], [1], 0, "forward"], [], [], [], "", []]],
        [],
        [],
        1,
        [],
    ],
    "text for a number": ["g", [], [], [], "1", []],
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_answer_is_refused(name: str, model: Path) -> None:
    forged = json.dumps({"graph": FORGERIES[name]}).encode()
    command = command_with_fault(f"say({forged!r}); os._exit(0)")
    with ReaderWorker(command=command) as worker, pytest.raises(ModelError, match="the reader's answer"):
        worker.read(model)


def test_a_forged_error_is_one_plain_line(model: Path) -> None:
    forged = json.dumps({"error": "a\x1b[31m\nb\u202e" + "x" * 10_000, "details": 7}).encode()
    command = command_with_fault(f"say({forged!r}); os._exit(0)")
    with ReaderWorker(command=command) as worker, pytest.raises(ModelError) as caught:
        worker.read(model)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


def test_the_accident_travels_along_for_debugging(model: Path) -> None:
    with ReaderWorker(command=command_with_fault("1 / 0")) as worker, pytest.raises(ModelError) as caught:
        worker.read(model)
    assert "Traceback" in "".join(caught.value.__notes__)
    assert "ZeroDivisionError" in "".join(caught.value.__notes__)


CAPS = {
    "RLIMIT_AS": limits.MEMORY_BYTES,
    "RLIMIT_CORE": 0,
    "RLIMIT_FSIZE": 0,
    "RLIMIT_NOFILE": 0,
    "RLIMIT_NPROC": 0,
    "RLIMIT_CPU": int(limits.TIME_LIMIT_S) + 1,
}


@pytest.mark.parametrize("name", CAPS)
def test_the_reading_process_is_capped_for_good(name: str, model: Path) -> None:
    report = f"raise worker.ModelError('limits %d %d' % resource.getrlimit(resource.{name}))"
    with ReaderWorker(command=command_with_fault(report)) as worker, pytest.raises(ModelError) as caught:
        worker.read(model)
    assert f"limits {CAPS[name]} {CAPS[name]}" in str(caught.value)


@pytest.mark.parametrize(
    "attempt", ["open('/etc/passwd')", "open('/dev/null')", "os.listdir('/')", "os.pipe()", "open('new', 'w')"]
)
def test_the_reading_process_can_open_nothing(attempt: str, model: Path) -> None:
    with ReaderWorker(command=command_with_fault(attempt)) as worker, pytest.raises(ModelError) as caught:
        worker.read(model)
    assert "too many open files" in str(caught.value)


def test_an_interrupted_read_leaves_no_process_behind(model: Path, marker: str) -> None:
    command = [*command_with_fault("while True: pass"), marker]
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt), ReaderWorker(command=command) as worker:
            worker.read(model)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not _processes_with(marker)


def test_a_worker_that_was_killed_is_replaced(model: Path) -> None:
    with ReaderWorker() as worker:
        assert len(worker.read(model).layers) == 1
        assert worker._process is not None
        worker._process._process.kill()
        with pytest.raises(HeadroomError, match="the process that reads models ended unexpectedly"):
            worker.read(model)
        assert len(worker.read(model).layers) == 1


def test_a_worker_that_cannot_start_says_why(model: Path) -> None:
    command = [sys.executable, "-I", "-c", "import nothing_of_this_name"]
    with ReaderWorker(command=command) as worker, pytest.raises(HeadroomError) as caught:
        worker.read(model)
    assert "No module named 'nothing_of_this_name'" in str(caught.value)
    assert not isinstance(caught.value, ModelError)


def test_a_worker_whose_parent_died_leaves_nothing_behind(model: Path, marker: str) -> None:
    """The parent is killed in the middle of a file; the worker sees its pipe close and ends with its child."""
    program = (
        "import os, signal, sys; from headroom.graph.onnx.client import ReaderWorker;"
        "signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL));"
        "signal.setitimer(signal.ITIMER_REAL, 1.0);"
        "ReaderWorker(command=sys.argv[2:]).read(sys.argv[1])"
    )
    command = [*command_with_fault("while True: pass"), marker]
    ended = subprocess.run([sys.executable, "-c", program, str(model), *command], check=False)
    assert ended.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 2.0
    while _processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _processes_with(marker)


def _processes_with(marker: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            continue  # it ended while we looked
    return found


def test_a_library_beside_the_model_is_not_imported(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    for name in ("onnx", "json", "numpy", "headroom"):
        (tmp_path / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend("")
    assert len(read_onnx("small.onnx").layers) == 1
    assert not canary.exists()


def test_the_parent_never_imports_the_library(model: Path) -> None:
    program = (
        "import sys; from headroom.graph.onnx.client import read_onnx; read_onnx(sys.argv[1]);"
        "print([name for name in ('onnx', 'google.protobuf', 'numpy') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(model)], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_worker_starts_without_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) not in worker_command()
