"""Advice on runs recorded on an H200, beside what the change really gave when it was made there.

Latencies were timed without a profiler on the same GPU on the same day (2026-11-21), batch 1 unless told otherwise.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from advise.cases import case_of
from advise.matched import graph_of
from builders import H200
from executions import replayed
from headroom.advise.analysis import Finding
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.choices import Choices
from headroom.advise.dtype_change import in_dtype
from headroom.advise.matching import match
from headroom.advise.picks import picks
from headroom.advise.questions.algorithms import algorithms
from headroom.advise.questions.framework import framework
from headroom.advise.questions.parallel import parallel
from headroom.advise.questions.tensor_cores import tensor_cores
from headroom.advise.recorded import Recorded
from headroom.advise.stored import StoredMeasurements
from headroom.advise.timed import TimedGraph
from headroom.graph.tensor import DataType
from headroom.measure.profiles.reading import read_profile
from headroom.store.default import shipped_files
from headroom.store.several import Stores
from headroom.store.store import Store

TRACES = Path(__file__).parents[2] / "benchmarks" / "results" / "profiles"

#: Recorded run, its latency without the profiler, and that of its replayed CUDA graph, in us.
GRAPHS = (
    ("vit_b_16-1-bf16", 6891.0, 695.0),
    ("mobilenet_v2-1-default", 3344.0, 439.0),
    ("shufflenet_v2_x1_0-1-bf16", 4491.0, 630.0),
    ("convnext_tiny-1-bf16", 2799.0, 727.0),
    ("resnet18-1-default", 1543.0, 470.0),
    ("resnet18-1-bf16_channels_last", 1650.0, 348.0),
)


@pytest.fixture(scope="module")
def rows() -> Stores:
    return Stores([Store.open(file, read_only=True) for file in shipped_files()])


@cache
def case(models: Path, rows: Stores, name: str) -> Case:
    dtype = DataType.TF32 if name.endswith("default") else DataType.BF16
    system = next(summary.system for summary in rows.systems() if summary.system.gpu == "NVIDIA H200")
    measurements = StoredMeasurements(rows, system)
    graph = graph_of(models, name)
    timed = TimedGraph.predict(graph, H200, dtype, "warm").measured_by(measurements)
    execution = match(read_profile(TRACES / f"{name}.json.gz"), graph)
    return Case(timed, lower_bounds(timed), measurements, execution, latency_us=execution.latency_us)


def finding(case: Case, kind: str, word: str = "") -> Finding:
    found = [*framework(case).findings, *algorithms(case).findings]
    (one,) = [each for each in found if each.kind == kind and word in each.title]
    return one


@pytest.mark.parametrize(("name", "latency_us", "graph_us"), GRAPHS)
def test_a_cuda_graph_gains_what_was_foreseen(
    name: str, latency_us: float, graph_us: float, shared_models: Path, rows: Stores
) -> None:
    found = case(shared_models, rows, name)
    run = Recorded.of(found)
    assert run is not None
    assert run.latency_us == pytest.approx(latency_us, rel=0.1)
    assert run.timelines.replayed_us == pytest.approx(graph_us, rel=0.06)
    assert finding(found, "launch_gaps").saves_us == pytest.approx(latency_us - graph_us, rel=0.15)


def test_channels_last_gains_what_was_foreseen(shared_models: Path, rows: Stores) -> None:
    replayed = finding(case(shared_models, rows, "resnet18-1-bf16_graph"), "algorithm_setting", "channels_last")
    assert replayed.saves_us == pytest.approx(468 - 348, rel=0.15)
    batch_32 = finding(case(shared_models, rows, "resnet50-32-default"), "algorithm_setting", "channels_last")
    assert batch_32.saves_us == pytest.approx(5305 - 4314, rel=0.3)


def test_what_pooling_costs_in_channels_last_is_said_in_the_figure(shared_models: Path, rows: Stores) -> None:
    """In channels_last ResNet-18's two pooling layers were recorded with 25 us, where they took 7."""
    found = finding(case(shared_models, rows, "resnet18-1-bf16_graph"), "algorithm_setting", "channels_last")
    assert "of the GPU's time in channels_last (23 µs of it pooling), which is taken off" in found.limits


def test_slow_pooling_in_channels_last_is_found(shared_models: Path, rows: Stores) -> None:
    found = finding(case(shared_models, rows, "googlenet-1-bf16_channels_last"), "slow_pooling")
    assert found.saves_us == pytest.approx(285.0, rel=0.05)
    assert len(found.layers) == 14


def test_cudnn_s_own_search_is_not_promised_what_it_did_not_give(shared_models: Path, rows: Stores) -> None:
    found = algorithms(case(shared_models, rows, "resnet50-32-default")).findings
    saved = [each.saves_us for each in found if "cudnn.benchmark" in each.title and "channels_last" not in each.title]
    assert all(saves_us < 0.01 * 5305 for saves_us in saved)


def test_every_convolution_of_a_recorded_run_is_matched_to_a_plan(shared_models: Path, rows: Stores) -> None:
    for name in ("resnet18-1-default", "resnet18-1-bf16_channels_last", "resnet18-1-bf16_graph"):
        found = case(shared_models, rows, name)
        choices = Choices.of(found)
        named = [pick.row is not None for pick in picks(choices, Recorded.of(found))]
        assert sum(named) >= 0.95 * len(named)


def test_googlenet_s_branches_run_one_after_another_and_have_room(shared_models: Path, rows: Stores) -> None:
    answer = parallel(case(shared_models, rows, "googlenet-1-default"))
    assert answer.sentence.startswith("No: no two layers ran at the same time")
    assert len(answer.tables[0].rows) == 9
    assert all(saves_us > 0 for *_, saves_us in answer.tables[0].rows)


def test_a_narrow_batch_norm_s_three_launches_are_seen(shared_models: Path, rows: Stores) -> None:
    folded = finding(case(shared_models, rows, "resnet18-1-bf16_channels_last"), "recomputed_constants")
    assert "20 BatchNorms run as 60 launches" in folded.title


#: Network with what it takes in fp32 (tf32 convolutions) and in bf16, both as replayed CUDA graphs, in us.
NARROW = (
    ("googlenet", 775.0, 925.0),
    ("vit_b_16", 3108.0, 695.0),
    ("vgg16", 661.0, 516.0),
    ("mobilenet_v2", 439.0, 608.0),
)


@pytest.mark.parametrize(("network", "wide_us", "narrow_us"), NARROW)
def test_bf16_gains_or_costs_what_was_foreseen(
    network: str, wide_us: float, narrow_us: float, shared_models: Path, rows: Stores
) -> None:
    wide = case(shared_models, rows, f"{network}-1-default")
    assert wide.execution is not None
    narrow = replace(wide.timed, dtype=DataType.BF16).measured_by(wide.measurements)
    run = Recorded.of(replace(wide, execution=replayed(wide.execution), latency_us=None))
    assert run is not None
    change = in_dtype(run, Choices.of(wide), Choices.read(narrow, wide.measurements))
    assert run.timelines.latency_us() == pytest.approx(wide_us, rel=0.06)
    assert run.timelines.latency_us(change) == pytest.approx(narrow_us, rel=0.06)


def asked_in_fp32(models: Path, rows: Stores, name: str) -> Case:
    system = next(summary.system for summary in rows.systems() if summary.system.gpu == "NVIDIA H200")
    graph = graph_of(models, name)
    execution = match(read_profile(TRACES / f"{name}.json.gz"), graph)
    return case_of(graph, StoredMeasurements(rows, system), DataType.FP32, execution=execution)


def test_a_gain_of_tensor_cores_that_the_host_hides_is_told_beyond_a_cuda_graph(
    shared_models: Path, rows: Stores
) -> None:
    """The GPU is busy for 3.1 ms of a recorded 4.7 ms: how much of the rest is the host's own is not known."""
    answer = tensor_cores(asked_in_fp32(shared_models, rows, "vit_b_16-1-default"))
    found = {each.title: each for each in answer.findings if each.kind == "data_type_in_a_graph"}
    (wide_us, narrow_us) = next((wide, narrow) for network, wide, narrow in NARROW if network == "vit_b_16")
    narrow = found["The model in bf16 instead of fp32, replayed as a CUDA graph"]
    assert narrow.saves_us == pytest.approx(wide_us - narrow_us, rel=0.03)
    assert "beyond a CUDA graph; without one your run may gain nothing, as the host needs" in narrow.action
    # Measured as replayed graphs: 3,142 and 1,061 us.
    tf32 = found["The model in tf32 instead of fp32, replayed as a CUDA graph"]
    assert tf32.saves_us == pytest.approx(3142 - 1061, rel=0.05)


def test_a_type_that_gains_nothing_is_told_with_what_the_kernels_would_take(shared_models: Path, rows: Stores) -> None:
    """Products of a single row read weights, which tf32 makes no smaller; AlexNet has three of them."""
    answer = tensor_cores(asked_in_fp32(shared_models, rows, "alexnet-1-default"))
    assert not any("tf32" in each.code for each in answer.findings)
    assert "In tf32 the model would not surely be faster: your run's kernels would take a predicted" in answer.sentence


#: Recorded run with what torch.compile(mode="reduce-overhead") made of the network, in us.
COMPILED = (("resnet50-1", 388.0), ("resnet18-1", 187.0), ("mobilenet_v2-1", 237.0), ("resnet50-32", 1558.0))


@pytest.mark.parametrize(("name", "compiled_us"), COMPILED)
def test_a_compiled_model_takes_what_was_foreseen(
    name: str, compiled_us: float, shared_models: Path, rows: Stores
) -> None:
    found = case(shared_models, rows, f"{name}-bf16_channels_last")
    run = Recorded.of(found)
    assert run is not None
    saves_us = {each.kind: each.saves_us for each in framework(found).findings}
    foreseen_us = run.latency_us - saves_us["launch_gaps"] - saves_us["unfused_epilogues"]
    assert foreseen_us == pytest.approx(compiled_us, rel=0.15)


@pytest.mark.alone
def test_three_answers_take_no_time_to_wait_for(shared_models: Path, rows: Stores) -> None:
    found = case(shared_models, rows, "googlenet-1-default")
    start = time.process_time()
    framework(found)
    algorithms(found)
    parallel(found)
    assert time.process_time() - start < 5.0
