"""From a model's address to rows, in this process and through the worker."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from headroom.errors import GpuError, ModelError, UsageError
from headroom.graph.chain import graph_digest
from headroom.graph.onnx.client import read_onnx
from headroom.graph.tensor import DataType
from headroom.graph.torch.reader import read_module
from headroom.measure.networks import client, network, sampling
from headroom.measure.networks.client import measure_network
from headroom.measure.networks.device import Host
from headroom.measure.networks.gauge import no_gauge
from headroom.measure.networks.job import measured
from headroom.measure.networks.request import Request
from headroom.store.rows import NetworkTiming, Status
from measure_networks.conftest import Export
from onnx_models import model, node

CALLABLE = """
import torch

def make():
    return torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU()), torch.zeros(1, 6)
"""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal times nothing worth keeping, so it may be short."""
    monkeypatch.setattr(sampling, "SAMPLE_US", 200.0)
    monkeypatch.setattr(sampling, "WARM_UP_US", 200.0)


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_net.py").write_text(CALLABLE)
    monkeypatch.chdir(tmp_path)
    return "a_net:make"


def rehearsed(request: Request) -> list[NetworkTiming]:
    """The worker's rows, made on the CPU."""
    said: list[dict[str, Any]] = []
    result = json.loads(json.dumps(measured(request, Host(), no_gauge(), said.append)))
    timings = [client.timing_from_json(row) for row in result["timings"]]
    assert [client.timing_from_json(one["timing"]) for one in said if "timing" in one] == timings
    return timings


def test_a_callable_runs_under_the_digest_of_its_analysis(address: str) -> None:
    eager, graph = rehearsed(Request(address, DataType.BF16, ("eager", "cuda-graph"), 4))
    module = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU())
    assert eager.graph == graph_digest(read_module(module, torch.zeros(1, 6), batch=4))
    assert eager.median_us is not None
    assert (eager.model, eager.batch, eager.dtype) == (address, 4, DataType.BF16)
    assert graph.status is Status.UNSUPPORTED


def test_an_onnx_file_runs_rebuilt_under_the_digest_of_its_analysis(export: Export) -> None:
    path = export("squeeze")
    (eager,) = rehearsed(Request(str(path), DataType.FP32, ("eager",), 3))
    assert eager.graph == graph_digest(read_onnx(path, batch=3))
    assert eager.median_us is not None
    assert eager.batch == 3


def test_rows_name_a_file_as_an_analysis_does_and_not_where_it_lies(export: Export) -> None:
    path = export("squeeze")
    (eager,) = rehearsed(Request(str(path.resolve()), DataType.FP32, ("eager",)))
    assert eager.model == read_onnx(path).name == path.stem


def test_a_network_that_does_not_even_load_is_a_row_per_mode(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")

    monkeypatch.setattr(network, "like_examples", full)
    rows = rehearsed(Request(address, DataType.BF16, ("eager", "cuda-graph")))
    assert [(row.mode, row.status) for row in rows] == [("eager", Status.OOM), ("cuda-graph", Status.OOM)]
    assert {len(row.graph) for row in rows} == {32}


def test_fp8_gives_rows_that_say_why_there_is_no_time(address: str) -> None:
    (row,) = rehearsed(Request(address, DataType.FP8, ("eager",)))
    assert row.status is Status.UNSUPPORTED
    assert "no whole network in fp8" in row.reason


def test_a_file_that_cannot_be_rebuilt_gives_rows_that_name_the_operator(tmp_path: Path) -> None:
    path = tmp_path / "strange.onnx"
    nodes = [node("Mystery", "x", "h", name="odd", domain="local"), node("Relu", "h", "y")]
    onnx.save(model(nodes, {"x": [2, 4]}, declared={"h": [2, 4]}), path)
    (row,) = rehearsed(Request(str(path), DataType.BF16, ("eager",)))
    assert row.status is Status.UNSUPPORTED
    assert "Mystery (odd" in row.reason


def test_asking_loads_neither_pytorch_nor_cuda() -> None:
    asking = "headroom.measure.networks.client", "headroom.measure.counters.client", "headroom.measure.counters.choose"
    code = f"import sys, {', '.join(asking)}; print(sorted({{'torch', 'cuda', 'pynvml', 'onnx'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_gpu_the_worker_says_so(address: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(GpuError, match="PyTorch finds no GPU"):
        measure_network(address, DataType.BF16)


def test_a_mode_that_nobody_knows_starts_no_worker() -> None:
    with pytest.raises(UsageError, match="no way to run"):
        measure_network("net:make", DataType.BF16, modes=["warp"])


def test_rows_are_handed_on_as_they_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = NetworkTiming("d" * 32, "x.onnx", 1, DataType.TF32, "eager", Status.OK, median_us=5.0, iqr_us=0.1, samples=20)
    asked: dict[str, Any] = {}

    def run_job(name: str, arguments: Any, *, gpu: int, on_progress: Any, limit_s: float) -> Any:
        asked.update(name=name, gpu=gpu, **arguments["request"])
        on_progress({"step": "loading"})
        on_progress({"timing": json.loads(json.dumps(asdict(row)))})
        return {"timings": [json.loads(json.dumps(asdict(row)))]}

    monkeypatch.setattr(client, "run_job", run_job)
    monkeypatch.chdir(tmp_path)
    came: list[NetworkTiming] = []
    assert measure_network("x.onnx", DataType.TF32, batch=1, gpu=1, on_timing=came.append) == (row,)
    assert came == [row]
    assert (asked["name"], asked["gpu"], asked["model"]) == ("network", 1, str(tmp_path / "x.onnx"))
    assert asked["modes"][0] == "eager"


def test_a_model_that_cannot_be_read_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        rehearsed(Request(str(tmp_path / "nowhere.onnx"), DataType.FP32, ("eager",)))
