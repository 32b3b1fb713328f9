"""A busy GPU is noticed before and while it is measured (promise 18)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headroom.errors import GpuError
from headroom.measure.busy import Guard
from headroom.measure.driver import driver_of
from headroom.measure.fake_driver import FakeNvml
from headroom.measure.fake_script import Script


class Changing(FakeNvml):
    """A GPU whose other users come and go: each look takes the next entry, the last one stays."""

    def __init__(self, *, counts: tuple[int, ...] = (0,), loads: tuple[int, ...] = (0,)) -> None:
        super().__init__(Script())
        self._counts, self._loads = list(counts), list(loads)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:  # noqa: N802
        count = self._counts.pop(0) if len(self._counts) > 1 else self._counts[0]
        return [SimpleNamespace(pid=4242 + i) for i in range(count)]

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        if pid > 4242:
            raise self.NVMLError("not found")
        return "/usr/bin/python"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=self._loads.pop(0) if len(self._loads) > 1 else self._loads[0])


def guard_of(nvml: Changing, *, shared: bool = False) -> Guard:
    with driver_of(0, nvml) as driver:
        return Guard(driver, shared=shared, sleep=lambda seconds: None)


def test_an_idle_gpu_is_admitted() -> None:
    guard = guard_of(Changing(loads=(5,)))
    guard.admit()
    assert guard.others() == ""


def test_another_compute_process_is_refused_and_named() -> None:
    with pytest.raises(GpuError) as raised:
        guard_of(Changing(counts=(1,))).admit()
    assert str(raised.value) == (
        "GPU 0 (Fake GPU) is busy: process 4242 (python) computes on it; wait until it is free, or measure anyway "
        "with --shared, which marks the rows"
    )


def test_more_than_five_percent_utilization_is_refused() -> None:
    with pytest.raises(GpuError, match="in use 6 % of the time"):
        guard_of(Changing(loads=(6,))).admit()


def test_what_ran_a_moment_ago_may_still_show() -> None:
    guard_of(Changing(counts=(1, 0), loads=(80, 30, 0))).admit()


def test_a_shared_gpu_is_measured_and_said() -> None:
    guard = guard_of(Changing(counts=(2,)), shared=True)
    guard.admit()
    assert guard.others() == "1 besides the worker among processes 4242 (python), 4243 (unknown)"
    used = guard_of(Changing(loads=(40,)), shared=True)
    used.admit()
    assert used.others() == "it is in use 40 % of the time"


def test_our_own_worker_is_no_stranger() -> None:
    assert guard_of(Changing(counts=(1,), loads=(100,))).others() == ""


def test_as_many_as_we_have_started_are_no_strangers_and_one_more_is() -> None:
    assert guard_of(Changing(counts=(3,))).others(own=3) == ""
    with pytest.raises(GpuError, match="1 besides the worker among processes"):
        guard_of(Changing(counts=(3,))).others(own=2)


def test_a_worker_that_is_just_being_replaced_is_no_stranger() -> None:
    assert guard_of(Changing(counts=(2, 2, 1))).others() == ""


def test_who_comes_later_stops_the_run() -> None:
    guard = guard_of(Changing(counts=(0, 2)))
    guard.admit()
    with pytest.raises(GpuError, match=r"no longer ours alone.*layers that were done before are kept"):
        guard.others()


def test_visible_devices_renumber_the_driver_s_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,2")
    nvml = Changing()
    with driver_of(1, nvml) as driver, driver_of(0, nvml) as first:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        with driver_of(2, nvml) as same:
            assert driver.uuid == same.uuid != first.uuid


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(GpuError, match="there is no GPU 9: this machine shows 8"), driver_of(9, Changing()):
        pass


def test_a_driver_that_does_not_answer_is_gpu_trouble() -> None:
    class Broken(Changing):
        def nvmlInit(self) -> None:  # noqa: N802
            raise self.NVMLError("driver not loaded")

    with pytest.raises(GpuError, match="did not answer about GPU 0: driver not loaded"), driver_of(0, Broken()):
        pass
