"""A probe from end to end on a simulated GPU: what it finds, and that no time counts whose answer is wrong."""

from __future__ import annotations

import json

import pytest

from headroom.measure.kernels.registry import KERNELS
from headroom.measure.probe import job
from headroom.measure.probe.result import Probe
from measure_kernels.simulated import SimulatedBench, SimulatedGpu

QUIET = lambda said: None  # noqa: E731 - nobody listens


@pytest.fixture(autouse=True)
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's products would take this machine minutes."""
    kept = tuple(pair for pair in job.experiments() if "library" not in pair[0])
    monkeypatch.setattr(job, "experiments", lambda: iter(kept))


@pytest.fixture(scope="module")
def hopper() -> Probe:
    with pytest.MonkeyPatch.context() as patch:
        kept = tuple(pair for pair in job.experiments() if "library" not in pair[0])
        patch.setattr(job, "experiments", lambda: iter(kept))
        return job.probe(SimulatedBench(SimulatedGpu()), QUIET)


def test_a_probe_finds_what_the_gpu_is_made_of(hopper: Probe) -> None:
    gpu, values = SimulatedGpu, hopper.values
    assert hopper.failures == {}
    for level in ("shared", "l1", "l2", "dram"):
        assert values[f"{level}_bandwidth_gbs"] == pytest.approx(gpu.bandwidth[level], rel=0.01)
    assert values["shared_latency_ns"] == pytest.approx(12, rel=0.01)
    assert values["l1_latency_ns"] == pytest.approx(16, rel=0.01)
    assert values["l2_latency_ns"] == pytest.approx(150, rel=0.01)
    assert values["dram_latency_ns"] == pytest.approx(400, rel=0.01)
    assert values["l2_near_latency_ns"] == pytest.approx(120, rel=0.01)
    assert values["l2_far_latency_ns"] == pytest.approx(180, rel=0.01)
    assert values["plain_tflops.fp32"] == pytest.approx(10, rel=0.01)
    assert values["mma_tflops.bf16"] == pytest.approx(60, rel=0.01)
    assert values["wgmma_tflops.fp8"] == pytest.approx(100, rel=0.01)
    assert values["launch_us"] == pytest.approx(1.5)
    assert values["clock_mhz"] == pytest.approx(2000)
    assert values["dram_peak_gbs"] == pytest.approx(128)


def test_sizes_are_where_the_level_ends(hopper: Probe) -> None:
    assert hopper.values["l1_edge_bytes"] == pytest.approx(SimulatedGpu.l1_bytes, rel=0.5)
    assert hopper.values["l1_edge_bytes"] >= SimulatedGpu.l1_bytes
    assert hopper.values["l2_edge_bytes"] == pytest.approx(SimulatedGpu.l2_bytes, rel=0.5)


def test_latency_climbs_with_traffic(hopper: Probe) -> None:
    assert hopper.values["dram_idle_latency_ns"] < 1.01 * SimulatedGpu.latency["dram"]
    assert hopper.values["dram_loaded_latency_ns"] > 2 * SimulatedGpu.latency["dram"]
    (curve,) = [curve for curve in hopper.curves if "traffic" in curve.name]
    assert [y for _, y in curve.points] == sorted(y for _, y in curve.points)


def test_every_kernel_of_the_gpu_takes_part() -> None:
    gpu = SimulatedGpu()
    job.probe(SimulatedBench(gpu, quick=True), QUIET)
    tests_of_the_stopwatch = {"write_to"}
    older_shapes = {"mma_fp16_m16n8k8", "mma_int8_m8n8k16"}
    assert set(gpu.launched) == set(KERNELS) - tests_of_the_stopwatch - older_shapes


@pytest.mark.parametrize(
    ("kernel", "lost"),
    [
        ("read_l1", "l1_bandwidth_gbs"),
        ("read_shared", "shared_bandwidth_gbs"),
        ("read_past_l1", "dram_bandwidth_gbs"),
        ("chase_global", "l2_latency_ns"),
        ("chase_each", "l2_latency_ns"),
        ("chase_shared", "shared_latency_ns"),
        ("chase_loaded", "dram_loaded_latency_ns"),
        ("fma_bf16", "plain_tflops.bf16"),
        ("mma_tf32_m16n8k8", "mma_tflops.tf32"),
        ("wgmma_int8", "wgmma_tflops.int8"),
    ],
)
def test_a_wrong_answer_costs_its_figure_and_no_other(kernel: str, lost: str) -> None:
    probe = job.probe(SimulatedBench(SimulatedGpu(wrong=kernel), quick=True), QUIET)
    assert lost not in probe.values
    assert len(probe.failures) == 1
    (reason,) = probe.failures.values()
    assert "the time does not count" in reason
    assert len(probe.values) > 25


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6), (8, 9), (10, 0), (12, 0)])
def test_an_experiment_that_the_gpu_cannot_run_is_left_out(capability: tuple[int, int]) -> None:
    probe = job.probe(SimulatedBench(SimulatedGpu(capability), quick=True), QUIET)
    assert probe.failures == {}
    assert "mma_tflops.fp16" in probe.values
    assert ("mma_tflops.bf16" in probe.values) == (capability >= (8, 0))
    assert ("mma_tflops.fp8" in probe.values) == (capability >= (8, 9))
    assert not any(name.startswith("wgmma") for name in probe.values)


def test_an_error_of_a_library_costs_one_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise OSError("the driver said no")

    monkeypatch.setattr(SimulatedGpu, "_fma", broken)
    probe = job.probe(SimulatedBench(SimulatedGpu(), quick=True), QUIET)
    assert set(probe.failures) == {f"multiply-adds in {kind}" for kind in ("fp32", "fp64", "fp16", "bf16")}
    assert probe.failures["multiply-adds in fp32"] == "OSError: the driver said no"


def test_a_probe_survives_the_way_through_json(hopper: Probe) -> None:
    assert Probe.from_json(json.loads(json.dumps(hopper.to_json()))) == hopper
