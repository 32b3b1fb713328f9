"""One network in one mode after another: each gets a row, whatever becomes of it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from dataclasses import replace

from headroom.measure.bench import Failure
from headroom.measure.cuda.failures import failure_of
from headroom.measure.networks.device import Device, Run
from headroom.measure.networks.gauge import Gauge
from headroom.measure.networks.modes import Mode, in_running_order
from headroom.measure.networks.network import Network, Source
from headroom.measure.networks.precision import products_in
from headroom.measure.networks.request import Request
from headroom.measure.networks.runtimes import RUNTIMES
from headroom.measure.networks.sampling import energy_mj, read
from headroom.measure.reasons import now
from headroom.measure.verdict import judge
from headroom.store.rows import NetworkTiming, Status
from headroom.text import plain_line

_REASON_CHARACTERS = 300


def prepare(mode: Mode, network: Network, device: Device) -> Run:
    """An inference in ``mode``, ready to be timed: captured, or compiled by a first call.

    Raises:
        UnsupportedError: the runtime is missing or cannot do it.
    """
    if mode.runtime != "torch":
        return RUNTIMES[mode.runtime](network, device)
    if mode.channels_last:
        network.to_channels_last()
    if mode.compile:
        run = network.compiled(mode.compile)
        run()
        return run
    return device.captured(network.run_eagerly) if mode.captured else network.run_eagerly


def measure_modes(network: Network, request: Request, device: Device, gauge: Gauge) -> Iterator[NetworkTiming]:
    """A row per mode of ``request``, each as soon as it is there.

    A mode that fails costs itself alone, unless the GPU's context is lost with it: then the rest are rows that say so.
    """
    lost = ""
    for mode in in_running_order(request.modes):
        row = blank_row(mode, network, request, gauge)
        if lost:
            yield replace(row, reason=f"the GPU's context was lost in mode {lost}")
            continue
        try:
            row = _measured(row, mode, network, request, device, gauge)
        except Exception as error:  # noqa: BLE001 - whatever a framework raises is this mode's answer
            failure = meaning_of(error, device)
            row = failed_row(row, failure)
            lost = mode.name if failure.poisoned else ""
        yield row


def _measured(
    row: NetworkTiming, mode: Mode, network: Network, request: Request, device: Device, gauge: Gauge
) -> NetworkTiming:
    """The row of one mode. What it ran goes with this call, or its memory would count as the next mode's."""
    import torch

    with torch.inference_mode(), products_in(request.dtype):
        _forget_compiled()
        device.forget_peaks()
        run = prepare(mode, network, device)
        row = timed_row(row, run, device, gauge, request.energy_seconds)
        return replace(row, peak_bytes=_peak_bytes(mode, device))


def rows_without(source: Source, request: Request, gauge: Gauge, failure: Failure) -> Iterator[NetworkTiming]:
    """The rows of a network that could not even be made."""
    for mode in in_running_order(request.modes):
        yield failed_row(blank_row(mode, source, request, gauge), failure)


def blank_row(mode: Mode, network: Network | Source, request: Request, gauge: Gauge) -> NetworkTiming:
    """The row of a mode before anything has run."""
    return NetworkTiming(
        network.digest,
        request.name,
        network.batch,
        request.dtype,
        mode.name,
        Status.FAILED,
        gpu_uuid=gauge.gpu_uuid,
        measured_at=now(),
    )


def timed_row(row: NetworkTiming, run: Run, device: Device, gauge: Gauge, energy_seconds: float = 0.0) -> NetworkTiming:
    """``row`` with the time of ``run``, what it is worth, and its energy."""
    reading = read(run, device, gauge)
    verdict = judge(reading, gauge.max_sm_clock_mhz())
    return replace(
        row,
        status=verdict.status,
        reason=verdict.reason,
        median_us=verdict.median_us,
        iqr_us=verdict.iqr_us,
        samples=verdict.samples,
        sm_clock_mhz=verdict.sm_clock_mhz,
        throttle_mask=verdict.mask,
        energy_mj=energy_mj(run, device, gauge, energy_seconds, reading.samples_us[-1]),
    )


def _peak_bytes(mode: Mode, device: Device) -> int | None:
    if mode.runtime != "torch":
        return None  # other runtimes allocate behind PyTorch's back
    return device.peak_bytes(reserved=mode.captured or mode.compile in ("reduce-overhead", "max-autotune"))


def _forget_compiled() -> None:
    """Drop what an earlier mode compiled: its CUDA graphs hold memory, and its code would be found first."""
    if "torch._dynamo" in sys.modules:
        import torch

        torch._dynamo.reset()
    gc.collect()


def failed_row(row: NetworkTiming, failure: Failure) -> NetworkTiming:
    """The row of a mode that failed."""
    return replace(row, status=failure.status, reason=plain_line(failure.reason, _REASON_CHARACTERS))


def meaning_of(error: BaseException, device: Device) -> Failure:
    """What an exception means for its mode, and for those that follow."""
    return failure_of(error, alive=device.is_alive, free_bytes=lambda: None)
