"""On a machine with a GPU: whole networks run in every mode, and the hardware counts what a layer moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise
from headroom.measure.counters.client import count
from headroom.measure.counters.request import Subject
from headroom.measure.networks.client import measure_network
from headroom.store.rows import Implementation, NetworkTiming, Status

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("a_gpu")]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"
MODES = ("eager", "cuda-graph", "channels-last", "channels-last cuda-graph", "channels-last compile reduce-overhead")


@pytest.fixture(scope="module")
def rows() -> dict[str, NetworkTiming]:
    """ResNet-50 at batch 1 in bf16, rebuilt from its file."""
    timings = measure_network(str(EXAMPLE), DataType.BF16, batch=1, modes=MODES)
    return {row.mode: row for row in timings}


def test_a_rebuilt_network_runs_in_every_mode_of_pytorch(rows: dict[str, NetworkTiming]) -> None:
    assert set(rows) == set(MODES)
    for mode, row in rows.items():
        assert row.status in (Status.OK, Status.THROTTLED), (mode, row.reason)
        assert row.median_us is not None
        assert row.samples >= 10


def test_less_host_time_is_less_time(rows: dict[str, NetworkTiming]) -> None:
    eager, graph, compiled = (
        rows[mode].median_us or 0.0
        for mode in ("channels-last", "channels-last cuda-graph", "channels-last compile reduce-overhead")
    )
    assert compiled < graph < eager


def test_energy_memory_and_clocks_are_told(rows: dict[str, NetworkTiming]) -> None:
    for row in rows.values():
        assert row.energy_mj is not None
        assert 1.0 < row.energy_mj < 10_000.0
        assert row.peak_bytes is not None
        assert row.peak_bytes > 50 << 20  # the weights alone
        assert row.sm_clock_mhz is not None
        assert row.gpu_uuid.startswith("GPU-")


def test_a_network_measured_twice_takes_the_same(rows: dict[str, NetworkTiming]) -> None:
    (again,) = measure_network(
        str(EXAMPLE), DataType.BF16, batch=1, modes=["channels-last cuda-graph"], energy_seconds=0
    )
    assert again.median_us == pytest.approx(rows["channels-last cuda-graph"].median_us, rel=0.05)
    assert again.graph == rows["eager"].graph
    assert again.energy_mj is None


def test_a_captured_run_keeps_what_it_reads() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a PyTorch with CUDA")
    from headroom.measure.networks.device import Gpu

    doubled = torch.empty(1 << 20, device="cuda")

    def capture() -> Any:
        ones = torch.ones(1 << 20, device="cuda")
        return Gpu().captured(lambda: torch.mul(ones, 2, out=doubled))

    replay = capture()
    others = [torch.full((1 << 20,), float("nan"), device="cuda") for _ in range(8)]
    replay()
    assert len(others) == 8
    assert bool((doubled == 2).all())


def test_a_network_that_does_not_fit_is_a_row() -> None:
    (row,) = measure_network(str(EXAMPLE), DataType.FP32, batch=60_000, modes=["eager"], energy_seconds=0)
    assert row.status is Status.OOM


def test_a_stream_moves_at_least_its_operands_or_the_reason_is_told() -> None:
    elements = 1 << 26
    tensors = TensorSpec("x", (elements,)), TensorSpec("y", (elements,))
    relu = Layer("relu", "Relu", Elementwise("relu", elements, 1, True), tensors[:1], (), tensors[1:])
    subject = Subject(Chain.of([relu]), DataType.BF16, _offered(relu))
    result = count([subject])
    if result.refused:
        assert "\n" not in result.refused
        pytest.skip(result.refused)
    (counted,) = result.counted
    assert counted.counters is not None, counted.reason
    assert counted.counters.dram_bytes == pytest.approx(2 * 2 * elements, rel=0.15)
    assert counted.counters.l2_bytes >= 0.9 * 2 * 2 * elements
    assert 0.0 < counted.counters.occupancy <= 1.0
    assert counted.counters.waves > 1.0


def _offered(layer: Layer) -> Implementation:
    """PyTorch's own way to run the layer, by the name that its backend gives it."""
    from headroom.measure.client import Worker
    from headroom.measure.task import Task

    task = Task(Chain.of([layer]), DataType.BF16, plans="heuristic")
    with Worker(0) as worker:
        timings = [row for row in worker.measure(task) if row.status is Status.OK]
    return min(timings, key=lambda row: row.median_us or 0.0).implementation
