"""Recording on the host: what a worker leaves, and what reading it back tells."""

from __future__ import annotations

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headroom.errors import GpuError, ModelError, UsageError
from headroom.graph.tensor import DataType
from headroom.measure.profiles.profile import Call, Profile, Step
from headroom.measure.profiles.recording import client
from headroom.measure.profiles.recording.client import Recording, record
from headroom.measure.profiles.recording.logs import log_settings
from profiles import FOLDER, raw_trace

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")

CALLABLE = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 4, 3)
        self.blocks = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 1), torch.nn.ReLU())

    def forward(self, x):
        return self.blocks(self.stem(x)) + 1

def make():
    return Net(), torch.zeros(1, 3, 16, 16)
"""


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "profiled_net.py").write_text(CALLABLE)
    monkeypatch.chdir(tmp_path)
    return "profiled_net:make"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Profile]:
    """A trace of the network above, recorded once."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "profiled_net.py").write_text(CALLABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = record(
            Recording("profiled_net:make", DataType.FP32, batch=2, on_gpu=False, steps=4), folder / "net.json.gz"
        )
    assert done.logs == ()
    return done.trace, done.profile


def _top(step: Step) -> list[Call]:
    return [call for call in step.calls if call.parent is None]


def test_a_recording_on_the_host_reads_back_as_its_steps(recorded: tuple[Path, Profile]) -> None:
    _, read = recorded
    assert [step.name for step in read.steps] == [f"ProfilerStep#{number}" for number in range(4)]
    assert (read.recorder, read.gpu, read.title, read.notes) == ("pytorch", "", "net.json.gz", ())
    for step in read.steps:
        assert [call.name for call in _top(step)] == ["aten::conv2d", "aten::conv2d", "aten::relu", "aten::add"]


def test_calls_of_a_recording_know_the_module_that_made_them(recorded: tuple[Path, Profile]) -> None:
    _, read = recorded
    for step in read.steps:
        assert [call.module for call in _top(step)] == ["stem", "blocks.0", "blocks.1", ""]


def test_the_steps_that_count_hold_no_marks_of_modules(recorded: tuple[Path, Profile]) -> None:
    trace, _ = recorded
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    marks = [event for event in events if event["name"].startswith("nn.Module: ")]
    first = min(event["ts"] for event in events if event["name"].startswith("ProfilerStep"))
    assert len(marks) == 4
    assert all(mark["ts"] + mark["dur"] < first for mark in marks)


def test_operands_are_recorded_at_the_batch_that_was_asked_for(recorded: tuple[Path, Profile]) -> None:
    _, read = recorded
    assert _top(read.typical)[0].operands[0].dims == (2, 3, 16, 16)


def test_a_recording_tells_how_long_an_inference_takes_when_nobody_watches(recorded: tuple[Path, Profile]) -> None:
    trace, read = recorded
    about = json.loads(gzip.decompress(trace.read_bytes()))["headroom"]
    assert read.latency_us == about["latency_us"] > 0
    assert (about["model"], about["dtype"], about["batch"], about["mode"]) == ("profiled_net:make", "fp32", 2, "eager")


def test_a_recording_does_not_carry_the_machines_name(recorded: tuple[Path, Profile]) -> None:
    trace, _ = recorded
    assert not {"host_name", "traceName"} & set(json.loads(gzip.decompress(trace.read_bytes())))


def test_nothing_but_the_trace_is_left_beside_it(recorded: tuple[Path, Profile]) -> None:
    trace, _ = recorded
    assert {path.name for path in trace.parent.iterdir()} - {"__pycache__"} == {"net.json.gz", "profiled_net.py"}


@needs_torch
def test_a_recording_that_fails_leaves_no_file_and_says_why(address: str, tmp_path: Path) -> None:
    out = tmp_path / "out" / "net.json.gz"
    out.parent.mkdir()
    with pytest.raises(UsageError, match="a CUDA graph needs a GPU"):
        record(Recording(address, DataType.FP32, mode="cuda-graph", on_gpu=False), out)
    with pytest.raises(ModelError, match="no module"):
        record(Recording("absent_net:make", DataType.FP32, on_gpu=False), out)
    assert list(out.parent.iterdir()) == []


def test_without_a_gpu_it_says_so_before_a_worker_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "run_job", lambda *_, **__: pytest.fail("a worker was started"))
    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    with pytest.raises(GpuError, match="there is no GPU 987654"):
        record(Recording("net:make", DataType.FP32, gpu=987654), tmp_path / "net.json.gz")


def test_a_gpu_that_others_use_is_refused_or_the_profile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_job(name: str, arguments: Any, **_: Any) -> Any:
        trace = raw_trace("resnet18-1-default") | {"headroom": {"others": arguments["others"], "latency_us": 12.5}}
        (Path(arguments["folder"]) / client.TRACE).write_bytes(gzip.compress(json.dumps(trace).encode(), 1))

    monkeypatch.setattr(client, "run_job", run_job)
    monkeypatch.setenv("HEADROOM_BENCH", 'fake:{"processes": [[41, "train.py"]]}')
    with pytest.raises(GpuError, match="is busy"):
        record(Recording("net:make", DataType.BF16), tmp_path / "net.json.gz")
    done = record(Recording("net:make", DataType.BF16, shared=True), tmp_path / "net.json.gz")
    (note,) = done.profile.notes
    assert note.startswith("others used the GPU while this was recorded: process 41 (train.py)")
    assert done.profile.latency_us == 12.5


def test_what_cannot_be_recorded_starts_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "run_job", lambda *_, **__: pytest.fail("a worker was started"))
    out = tmp_path / "net.json.gz"
    with pytest.raises(UsageError, match="--steps 0: expected 1 to 100"):
        record(Recording("net:make", DataType.FP32, steps=0), out)
    with pytest.raises(UsageError, match="no way to run"):
        record(Recording("net:make", DataType.FP32, mode="warp"), out)
    with pytest.raises(UsageError, match="record on the GPU"):
        record(Recording("net:make", DataType.FP32, on_gpu=False, logs=True), out)
    with pytest.raises(UsageError, match="choose another place with --out"):
        record(Recording("net:make", DataType.FP32), tmp_path / "absent" / "net.json.gz")


def test_logs_are_kept_beside_the_trace_as_far_as_libraries_wrote_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run_job(name: str, arguments: Any, **_: Any) -> Any:
        asked.append(name)
        folder = Path(arguments["folder"])
        if name == "profile":
            (folder / client.TRACE).write_bytes((FOLDER / "resnet18-1-default.json.gz").read_bytes())
        else:
            (folder / "cudnn.log").write_text("I! CuDNN")
            (folder / "cublas.log").write_text("")

    monkeypatch.setattr(client, "run_job", run_job)
    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    stale = tmp_path / "net.logs" / "cublaslt.log"
    stale.parent.mkdir()
    stale.write_text("of an earlier run")
    done = record(Recording("net:make", DataType.BF16, logs=True), tmp_path / "net.json.gz")
    assert asked == ["profile", "library-logs"]
    assert done.logs == (tmp_path / "net.logs" / "cudnn.log",)
    assert [path.name for path in stale.parent.iterdir()] == ["cudnn.log"]
    assert (done.profile.title, done.profile.gpu) == ("net.json.gz", "NVIDIA H200")


def test_every_library_logs_into_a_file_of_its_own() -> None:
    files = [value for value in log_settings(Path("/logs")).values() if value.startswith("/logs/")]
    assert len(set(files)) == len(files) == 4


def test_asking_for_a_recording_loads_neither_pytorch_nor_cuda() -> None:
    asking = "headroom.measure.profiles.recording.client, headroom.measure.profiles.reading"
    code = f"import sys, {asking}; print(sorted({{'torch', 'cuda', 'pynvml', 'onnx'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
