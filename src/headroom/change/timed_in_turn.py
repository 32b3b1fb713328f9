"""The worker's side of timing layers and networks in turn, each as one CUDA graph. Importing it loads PyTorch."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import torch

from headroom.errors import GpuError
from headroom.measure.fake_script import script_in_use
from headroom.measure.jobs import Json
from headroom.measure.networks.device import Device, Gpu, Host, Run
from headroom.measure.networks.gauge import gauge_of_gpu, no_gauge
from headroom.measure.networks.in_turn import read_in_turn
from headroom.measure.verdict import judge

#: A sample of a rehearsal on the host, where there is no GPU.
_REHEARSAL_US = 1_000.0


def device_here(index: int) -> Device:
    """The worker's GPU; the host, where a GPU is only played.

    Raises:
        GpuError: PyTorch finds no GPU.
    """
    if script_in_use() is not None:
        return Host()
    if not torch.cuda.is_available():
        raise GpuError("PyTorch finds no GPU to run a network on; install a CUDA build of PyTorch")
    return Gpu(index)


def captured(run: Run, device: Device) -> Run:
    """``run`` as one CUDA graph, or as it is on the host."""
    return run if isinstance(device, Host) else device.captured(run)


def told(runs: Sequence[Run], device: Device, index: int) -> Json:
    """Medians, spreads and why a time does not count (``None`` then, and a reason), of runs sampled in turn."""
    if isinstance(device, Host):
        # The host is never calm: no verdict on its noise, for nobody believes it.
        readings = read_in_turn(runs, device, no_gauge(), sample_us=_REHEARSAL_US, budget_us=10 * _REHEARSAL_US)
        return {
            "device": "the host, as a rehearsal",
            "median_us": [statistics.median(each.samples_us) for each in readings],
            "iqr_us": [0.0 for _ in readings],
            "reasons": ["" for _ in readings],
        }
    gauge = gauge_of_gpu(index)
    verdicts = [judge(reading, gauge.max_sm_clock_mhz()) for reading in read_in_turn(runs, device, gauge)]
    return {
        "device": torch.cuda.get_device_name(device.torch),
        "median_us": [each.median_us for each in verdicts],
        "iqr_us": [each.iqr_us for each in verdicts],
        "reasons": [each.reason for each in verdicts],
    }
