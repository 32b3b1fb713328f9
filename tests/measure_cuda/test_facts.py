"""The system in the words of a row, found without loading what it is made of."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from headroom.measure.cuda.facts import facts_of, system_of
from headroom.measure.cuda.gpu_state import NvmlState

H200 = {
    "torch": "2.11.0+cu130",
    "nvidia-cudnn-cu13": "9.19.0.56",
    "nvidia-cublas": "13.1.0.3",
    "nvidia-cuda-runtime": "13.0.96",
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    packages = dict(H200)

    def version(name: str) -> str:
        if name not in packages:
            raise metadata.PackageNotFoundError(name)
        return packages[name]

    monkeypatch.setattr(metadata, "version", version)
    return packages


def test_versions_are_those_of_the_libraries_not_of_their_wheels(installed: dict[str, str]) -> None:
    system = system_of("NVIDIA H200", "580.159.04")
    assert system.title == "NVIDIA H200, driver 580.159.04, CUDA 13.0, cuDNN 9.19.0, cuBLAS 13.1.0, PyTorch 2.11.0"


def test_a_library_that_is_absent_has_no_version(installed: dict[str, str]) -> None:
    del installed["nvidia-cudnn-cu13"]
    installed["torch"] = "2.11.0"
    system = system_of("NVIDIA H200", "580")
    assert (system.cudnn, system.cuda) == ("", "13.0")


def test_the_parent_finds_the_system_without_pytorch_or_cuda() -> None:
    code = "import sys, headroom.measure.cuda.facts as f; f.system_of('x', 'y'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


class OldNvml:
    """A binding from before clock events were called so."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2

    class NVMLError(Exception):
        pass

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> bytes:  # noqa: N802
        return b"NVIDIA H200"

    def nvmlSystemGetDriverVersion(self) -> bytes:  # noqa: N802
        return b"580.159.04"

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return {1: 1980, 2: 3201}[kind]

    def nvmlDeviceGetMaxClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        raise self.NVMLError

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:  # noqa: N802
        return 0x1000


def test_clocks_and_events_are_passed_on_as_the_driver_gives_them() -> None:
    state = NvmlState("GPU-1", OldNvml())
    assert (state.sm_clock_mhz(), state.memory_clock_mhz()) == (1980.0, 3201.0)
    assert state.clock_events() == 0x1000
    assert state.max_sm_clock_mhz() is None


def test_without_a_driver_nothing_is_known_and_nothing_fails() -> None:
    class Broken(OldNvml):
        def nvmlInit(self) -> None:  # noqa: N802
            raise self.NVMLError

    state = NvmlState("GPU-1", Broken())
    assert state.sm_clock_mhz() is state.memory_clock_mhz() is state.clock_events() is None
    assert state.name() == ""


def test_the_facts_of_a_gpu(installed: dict[str, str]) -> None:
    facts = facts_of(NvmlState("GPU-1", OldNvml()), 0, "GPU-1", "H200", lambda: (5, 7))
    assert facts.system.gpu == "NVIDIA H200"
    assert (facts.gpu_uuid, facts.gpu_index, facts.free_bytes, facts.memory_bytes) == ("GPU-1", 0, 5, 7)
