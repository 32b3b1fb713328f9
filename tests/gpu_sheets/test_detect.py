"""Asking the driver which GPU this is. The management library is a fake that can fail as the real one does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from headroom.errors import GpuError
from headroom.gpu import detect
from headroom.gpu.detect import detect_gpu

CHOOSE = "name one with --gpu (headroom gpus list shows them)"


class FakeNvmlError(Exception):
    """Stands for ``pynvml.NVMLError``."""


@dataclass
class FakeNvml:
    """NVML's functions over a list of names; ``fails_at`` names the call that raises."""

    names: list[str | bytes]
    fails_at: str = ""
    calls: list[str] = field(default_factory=list)
    NVMLError = FakeNvmlError

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails_at:
            raise FakeNvmlError("Driver Not Loaded")

    def nvmlInit(self) -> None:  # noqa: N802 (NVML's own name)
        self._call("init")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._call("shutdown")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        self._call("count")
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._call("handle")
        return index

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        self._call("name")
        return self.names[handle]


@pytest.mark.parametrize("name", ["NVIDIA H200", b"NVIDIA H200"])
def test_the_drivers_name_finds_the_sheet(name: str | bytes) -> None:
    nvml = FakeNvml([name])
    assert detect_gpu(nvml=nvml).id == "h200"
    assert nvml.calls[-1] == "shutdown"


def test_a_second_gpu_can_be_asked_for() -> None:
    assert detect_gpu(1, nvml=FakeNvml(["NVIDIA H200", "Tesla T4"])).id == "t4"


def test_a_gpu_without_a_sheet_is_named() -> None:
    with pytest.raises(GpuError) as raised:
        detect_gpu(nvml=FakeNvml(["NVIDIA L40\x1b[31m"]))
    assert str(raised.value) == (
        f"this machine's GPU is 'NVIDIA L40', for which there is no sheet; {CHOOSE} or write one"
    )


@pytest.mark.parametrize("name", ["NVIDIA L40", "NVIDIA H20", "Orin", "h200 sxm"])
def test_a_name_that_only_resembles_ours_is_not_taken_for_it(name: str) -> None:
    with pytest.raises(GpuError, match="no sheet"):
        detect_gpu(nvml=FakeNvml([name]))


def test_a_machine_without_gpu_is_told_so() -> None:
    nvml = FakeNvml([])
    with pytest.raises(GpuError) as raised:
        detect_gpu(nvml=nvml)
    assert str(raised.value) == f"no GPU 0: the driver reports 0; {CHOOSE}"
    assert nvml.calls[-1] == "shutdown"


@pytest.mark.parametrize("call", ["init", "count", "handle", "name", "shutdown"])
def test_a_driver_that_fails_at_any_call_is_a_gpu_error(call: str) -> None:
    nvml = FakeNvml(["NVIDIA H200"], fails_at=call)
    with pytest.raises(GpuError) as raised:
        detect_gpu(nvml=nvml)
    assert str(raised.value) == f"NVIDIA's driver did not answer (Driver Not Loaded); {CHOOSE}"
    assert (nvml.calls[-1] == "shutdown") == (call != "init")


def test_without_the_library_the_user_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(detect.importlib, "import_module", absent)
    with pytest.raises(GpuError) as raised:
        detect_gpu()
    assert str(raised.value) == (
        "no GPU was named and this machine's cannot be asked for (no nvidia-ml-py; pip install 'headroom[gpu]'); "
        f"{CHOOSE}"
    )
