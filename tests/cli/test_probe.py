"""``headroom gpus probe``: what a user sees, with a simulated GPU behind the job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headroom.cli.gpus import PROBE_STEPS
from headroom.gpu.sheets import load_gpu
from headroom.measure.probe import client, job
from measure_kernels.simulated import SimulatedBench, SimulatedGpu


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch):
    """Let the job run here on a simulated GPU, its answer through JSON as from a worker."""
    experiments = tuple(job.experiments())
    assert len(experiments) == PROBE_STEPS
    # The library's products would take this machine minutes.
    monkeypatch.setattr(job, "experiments", lambda: iter(pair for pair in experiments if "library" not in pair[0]))

    def with_gpu(gpu: SimulatedGpu) -> None:
        def run_job(name: str, arguments: dict, *, gpu_index: int = 0, on_progress=None, limit_s=0.0, **_: int) -> dict:
            bench = SimulatedBench(gpu, quick=arguments["quick"])
            return json.loads(json.dumps(job.probe(bench, on_progress).to_json()))

        monkeypatch.setattr(client, "run_job", run_job)

    return with_gpu


def test_the_probe_prints_writes_a_sheet_and_its_curves(headroom, simulated, tmp_path: Path) -> None:
    simulated(SimulatedGpu())
    sheet, curves = tmp_path / "mine.toml", tmp_path / "curves.json"
    outcome = headroom("gpus", "probe", "--quick", "--out", sheet, "--json", curves)
    assert (outcome.code, outcome.err) == (0, "")
    assert "NVIDIA Simulated" in outcome.out
    assert "l2_bandwidth_gbs" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert load_gpu(sheet).l2.bandwidth_gbs == pytest.approx(300, rel=0.01)
    assert headroom("gpus", "show", sheet).code == 0
    seen = json.loads(curves.read_text())
    assert {"read past L1", "load latency", "load latency under traffic"} <= {curve["name"] for curve in seen["curves"]}
    assert [round(plateau["value"]) for plateau in seen["plateaus"]["load latency"]] == [16, 150, 400]


def test_a_known_gpu_is_shown_beside_its_sheet(headroom, simulated) -> None:
    gpu = SimulatedGpu()
    gpu.properties.name = "NVIDIA H200"
    simulated(gpu)
    outcome = headroom("gpus", "probe", "--quick")
    assert "h200" in outcome.out
    assert "-97.0 %" in outcome.out, "4 SMs where the sheet has 132"


def test_a_failed_experiment_is_named_and_the_rest_is_there(headroom, simulated) -> None:
    simulated(SimulatedGpu(wrong="fma_fp16"))
    outcome = headroom("gpus", "probe", "--quick")
    assert outcome.code == 0
    assert "not measured: multiply-adds in fp16" in outcome.out
    assert outcome.err.count("\n") == 1
    assert "1 experiment of the probe failed" in outcome.err


def test_one_place_for_two_files_is_refused_before_anything_is_measured(headroom, tmp_path: Path) -> None:
    outcome = headroom("gpus", "probe", "--out", tmp_path / "x", "--json", tmp_path / "x")
    assert outcome.code == 2


def test_a_machine_without_a_gpu_is_told_so(headroom) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    outcome = headroom("gpus", "probe")
    assert outcome.code == 4
    assert outcome.err.count("\n") == 1
