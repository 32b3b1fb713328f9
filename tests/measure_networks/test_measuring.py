"""A row per mode, whatever becomes of it."""

from __future__ import annotations

import weakref
from itertools import chain, cycle
from typing import Any

import pytest
import torch

from headroom.graph.tensor import DataType
from headroom.measure.bench import UnsupportedError
from headroom.measure.networks import measuring
from headroom.measure.networks.device import Host, Run
from headroom.measure.networks.measuring import measure_modes
from headroom.measure.networks.network import Network
from headroom.measure.networks.precision import products_in, torch_dtype
from headroom.measure.networks.request import Request
from headroom.measure.networks.runtimes import onnxruntime as onnxruntime_mode
from headroom.store.rows import NetworkTiming, Status
from measure_networks.stand_ins import Dial, Stage

ALL = ("eager", "cuda-graph", "channels-last", "channels-last cuda-graph")


class _Net(torch.nn.Module):
    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.conv, self.error, self.seen = torch.nn.Conv2d(3, 4, 3), error, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((x.is_contiguous(), torch.is_inference_mode_enabled()))
        if self.error is not None and len(self.seen) == 1:
            raise self.error
        return self.conv(x)


def network(error: Exception | None = None) -> Network:
    return Network(_Net(error).eval(), (torch.randn(2, 3, 8, 8),), {}, "d" * 32, 2)


def rows(net: Network, modes: tuple[str, ...] = ALL, stage: Any = None, dial: Any = None) -> list[NetworkTiming]:
    request = Request("net:make", DataType.BF16, modes, 2, energy_seconds=1.0)
    return list(measure_modes(net, request, stage or Stage(), dial or Dial()))


def test_every_mode_has_a_row_with_its_noise() -> None:
    stage = Stage(cycle([990.0, 1000.0, 1010.0, 1000.0]))
    found = rows(network(), stage=stage)
    assert [row.mode for row in found] == list(ALL)
    assert all(row.status is Status.OK and row.samples >= 10 for row in found)
    assert all(row.median_us == 1000.0 and row.iqr_us is not None and row.iqr_us > 0 for row in found)
    assert {row.graph for row in found} == {"d" * 32}
    assert {(row.batch, row.dtype, row.gpu_uuid) for row in found} == {(2, DataType.BF16, "GPU-stage")}


def test_a_graphs_memory_is_its_pool_and_an_eager_runs_what_it_allocates() -> None:
    assert [row.peak_bytes for row in rows(network())] == [1024, 2048, 1024, 2048]


def test_what_a_mode_ran_is_gone_before_the_next_ones_memory_counts() -> None:
    held: list[Any] = []

    class Counting(Stage):
        def captured(self, run: Run) -> Run:
            replay = lambda: run()  # noqa: E731 - something of its own to watch
            held.append(weakref.ref(replay))
            return replay

        def forget_peaks(self) -> None:
            assert not any(reference() for reference in held)

    found = rows(network(), ("cuda-graph", "channels-last cuda-graph"), stage=Counting())
    assert [row.status for row in found] == [Status.OK, Status.OK]
    assert len(held) == 2


def test_energy_is_told_per_inference() -> None:
    dial = Dial(energies=chain([0.0, 0.0, 300_000.0]))
    (row,) = rows(network(), ("eager",), dial=dial)
    assert row.energy_mj == pytest.approx(300.0)


def test_channels_last_runs_on_channels_last_data_and_plain_runs_do_not() -> None:
    net = network()
    rows(net, ("channels-last", "eager"))
    contiguous = [seen[0] for seen in net.module.seen]
    assert contiguous == sorted(contiguous, reverse=True)
    assert set(contiguous) == {True, False}


def test_nothing_is_recorded_for_gradients() -> None:
    net = network()
    rows(net, ("eager",))
    assert all(inference for _, inference in net.module.seen)


def test_a_mode_that_fails_costs_itself() -> None:
    first, second = rows(network(ValueError("no\nsuch luck")), ("eager", "cuda-graph"))
    assert (first.status, first.reason) == (Status.FAILED, "ValueError: no such luck")
    assert first.median_us is None
    assert second.status is Status.OK


def test_out_of_memory_and_unsupported_are_told_apart() -> None:
    (full,) = rows(network(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")), ("eager",))
    assert full.status is Status.OOM
    (no,) = rows(network(UnsupportedError("no such kernel")), ("eager",))
    assert (no.status, no.reason) == (Status.UNSUPPORTED, "no such kernel")


def test_a_lost_context_is_the_end_of_all_that_follows() -> None:
    lost = network(RuntimeError("CUDA error: an illegal memory access was encountered"))
    first, *rest = rows(lost, stage=Stage(alive=False))
    assert first.status is Status.FAILED
    assert {(row.status, row.reason) for row in rest} == {(Status.FAILED, "the GPU's context was lost in mode eager")}


def test_a_clock_that_falls_marks_the_row() -> None:
    dial = Dial(clocks=cycle([1980.0] * 14 + [1400.0] * 6), mask=0x4)
    (row,) = rows(network(), ("eager",), dial=dial)
    assert row.status is Status.THROTTLED
    assert row.throttle_mask == 0x4
    assert row.median_us is not None


def test_a_time_that_wanders_is_unstable() -> None:
    (row,) = rows(network(), ("eager",), stage=Stage(cycle([500.0, 1500.0])))
    assert row.status is Status.UNSTABLE


def test_missing_runtimes_say_what_to_install() -> None:
    for row in rows(network(), ("onnxruntime", "tensorrt"), stage=Host()):
        assert row.status is Status.UNSUPPORTED
        assert "install" in row.reason or "needs a GPU" in row.reason


def test_an_onnx_runtime_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        __version__ = "1.30.0"

        @staticmethod
        def get_available_providers() -> list[str]:
            return ["AzureExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", Runtime)
    (row,) = rows(network(), ("onnxruntime",))
    assert row.status is Status.UNSUPPORTED
    assert "CPUExecutionProvider and not on a GPU" in row.reason


def test_an_onnx_runtime_runs_what_pytorch_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    monkeypatch.setattr(onnxruntime_mode, "_PROVIDER", "CPUExecutionProvider")
    (row,) = rows(network(), ("onnxruntime",))
    assert row.status is Status.OK, row.reason
    assert row.peak_bytes is None


def test_the_host_has_no_cuda_graphs() -> None:
    (row,) = rows(network(), ("cuda-graph",), stage=Host())
    assert (row.status, row.reason) == (Status.UNSUPPORTED, "a CUDA graph needs a GPU")


def test_compiled_code_of_an_earlier_mode_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    reset = []
    monkeypatch.setattr(torch._dynamo, "reset", lambda: reset.append(True))
    monkeypatch.setattr(measuring, "prepare", lambda mode, net, device: net.run_eagerly)
    rows(network(), ("compile", "compile reduce-overhead"))
    assert len(reset) == 2


@pytest.mark.parametrize(("dtype", "rounded"), [(DataType.FP32, False), (DataType.TF32, True)])
def test_fp32_products_are_rounded_in_tf32_alone(dtype: DataType, rounded: bool) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with products_in(dtype):
        assert torch.backends.cuda.matmul.allow_tf32 is rounded
        assert torch.backends.cudnn.allow_tf32 is rounded
    assert before == (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    assert torch_dtype(dtype) is torch.float32


def test_fp8_is_no_type_of_a_whole_network() -> None:
    with pytest.raises(UnsupportedError, match="fp8"):
        torch_dtype(DataType.FP8)
