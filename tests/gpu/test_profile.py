"""On a machine with a GPU: recorded profiles read back, eager and replayed, and libraries log what they are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from headroom.graph.tensor import DataType
from headroom.measure.profiles.library_logs import read_library_log
from headroom.measure.profiles.profile import Profile, Step
from headroom.measure.profiles.recording.client import Recorded, Recording, record

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_free_gpu")]

EXAMPLE = str(Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx")
CONVOLUTIONS = 53

CALLABLE = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(8, 64, 3)
        self.head = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64 * 30 * 30, 64))

    def forward(self, x):
        return self.head(self.stem(x))

def make():
    return Net(), torch.zeros(1, 8, 32, 32)
"""


def like_each_other(profile: Profile) -> Step:
    """The typical step, once all steps are seen to launch the same."""
    assert profile.gpu
    assert profile.notes == ()
    assert len({tuple(launch.name for launch in step.launches) for step in profile.steps}) == 1
    return profile.typical


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    out = tmp_path_factory.mktemp("eager") / "resnet50.json.gz"
    return record(Recording(EXAMPLE, DataType.BF16, batch=1, logs=True), out)


def test_every_kernel_of_an_eager_run_has_a_call_and_a_step(eager: Recorded) -> None:
    step = like_each_other(eager.profile)
    assert len(eager.profile.steps) == 3
    assert all(launch.call is not None and launch.launched_us is not None for launch in step.launches)
    assert sum(call.name == "aten::convolution" for call in step.calls) == CONVOLUTIONS


def test_recording_slows_an_inference_down_and_the_profile_knows_by_how_much(eager: Recorded) -> None:
    assert eager.profile.latency_us is not None
    assert 0 < eager.profile.latency_us < eager.profile.typical.duration_us


def test_a_replayed_graph_launches_at_once_what_eager_launches_one_by_one(eager: Recorded, tmp_path: Path) -> None:
    replayed = record(Recording(EXAMPLE, DataType.BF16, mode="cuda-graph", batch=1), tmp_path / "graph.json.gz")
    step = like_each_other(replayed.profile)
    assert all(launch.graph for launch in step.launches)
    assert step.gpu_span_us < eager.profile.typical.gpu_span_us
    assert len({launch.launched_us for launch in step.launches}) == 1


def test_a_compiled_network_launches_fewer_kernels(eager: Recorded, tmp_path: Path) -> None:
    compiled = record(Recording(EXAMPLE, DataType.BF16, mode="compile", batch=1), tmp_path / "compiled.json.gz")
    step = like_each_other(compiled.profile)
    assert len(step.launches) < len(eager.profile.typical.launches)
    assert any(launch.name.startswith("triton_") for launch in step.launches)


def test_kernels_know_the_module_that_launched_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net_on_gpu.py").write_text(CALLABLE)
    monkeypatch.chdir(tmp_path)
    step = like_each_other(record(Recording("net_on_gpu:make", DataType.BF16), tmp_path / "net.json.gz").profile)
    modules = {step.calls[launch.call].module for launch in step.launches if launch.call is not None}
    assert {"stem", "head.0", "head.2"} <= modules


def test_the_libraries_log_the_convolutions_that_they_are_asked_for(eager: Recorded) -> None:
    logs = {log.name: read_library_log(log) for log in eager.logs if log.name != "cudnn_frontend.log"}
    calls = logs["cudnn.log"]
    assert sum(call.function == "cudnnBackendExecute" for call in calls) >= 2 * CONVOLUTIONS
    dims = {parameter.numbers for call in calls for parameter in call.parameters if parameter.name.endswith(".dimA")}
    assert (1, 64, 56, 56) in dims
