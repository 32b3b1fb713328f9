"""One network at one batch in one data type: prepared beside others, timed alone.

    python benchmarks/network_bounds_item.py REQUEST_JSON [--dry-run]

It loads, captures and compiles, says ``ready`` and waits for a line; then it times each mode and prints a JSON line
for it. :mod:`network_bounds` runs many of these and lets one time at a time.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from headroom.measure.bench import Failure
from headroom.measure.driver import driver_of
from headroom.measure.networks.device import Device, Gpu, Host, Run
from headroom.measure.networks.gauge import Gauge, gauge_of_gpu, no_gauge
from headroom.measure.networks.measuring import blank_row, failed_row, meaning_of, prepare, timed_row
from headroom.measure.networks.modes import Mode, in_running_order
from headroom.measure.networks.network import Network, find_network
from headroom.measure.networks.precision import products_in
from headroom.measure.networks.request import Request
from headroom.measure.run import expected_system
from headroom.store.rows import NetworkTiming

_PROFILED_RUNS = 3
_MOST_KERNELS = 60


def main() -> None:
    import torch

    request, rehearsal = Request.from_json(json.loads(sys.argv[1])), "--dry-run" in sys.argv
    device, gauge = (Host(), no_gauge()) if rehearsal else (Gpu(0), gauge_of_gpu(0))
    system = "" if rehearsal else system_id()
    network = find_network(request).make(device)
    with torch.inference_mode(), products_in(request.dtype):
        # Compiling comes last: it may convert the weights' order once more.
        modes = sorted(in_running_order(request.modes), key=lambda mode: bool(mode.compile))
        runs = {mode: prepared(mode, network, device) for mode in modes}
        print("ready", flush=True)
        sys.stdin.readline()
        for mode, run in runs.items():
            row, kernels = blank_row(mode, network, request, gauge), []
            if isinstance(run, Failure):
                row = failed_row(row, run)
            else:
                row = timed(row, run, device, gauge)
                kernels = kernels_of(run) if mode.compile and row.median_us and not rehearsal else []
            print(json.dumps({"system": system, **asdict(row), "kernels": kernels}), flush=True)


def system_id() -> str:
    """Which system the rows are of, as the database names it."""
    with driver_of(0) as driver:
        return expected_system(driver).id


def prepared(mode: Mode, network: Network, device: Device) -> Run | Failure:
    """Captured or compiled, and run a few times: torch.compile records its CUDA graphs in the second or third."""
    try:
        run = prepare(mode, network, device)
        device.wall_us(run, 3)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises is this mode's answer
        return meaning_of(error, device)
    return run


def timed(row: NetworkTiming, run: Run, device: Device, gauge: Gauge) -> NetworkTiming:
    try:
        return timed_row(row, run, device, gauge)
    except Exception as error:  # noqa: BLE001 - whatever a framework raises is this mode's answer
        return failed_row(row, meaning_of(error, device))


def kernels_of(run: Any) -> list[dict[str, Any]]:
    """What one inference launches: kernels with their total time in microseconds, the longest first.

    None where the driver keeps its tracing to itself: that costs an explanation, not a time.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    try:
        with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiled:
            for _ in range(_PROFILED_RUNS):
                run()
            torch.cuda.synchronize()
    except RuntimeError as error:
        print(f"no kernels: {error}", file=sys.stderr)
        return []
    found = [
        {
            "name": event.key,
            "total_us": round(event.self_device_time_total / _PROFILED_RUNS, 3),
            "count": round(event.count / _PROFILED_RUNS, 2),
        }
        for event in profiled.key_averages()
        if event.self_device_time_total > 0 and str(event.device_type).endswith("CUDA")
    ]
    return sorted(found, key=lambda kernel: -kernel["total_us"])[:_MOST_KERNELS]


if __name__ == "__main__":
    main()
