"""The model with the times that a run showed, and with the share of the GPU that its launches really took.

Layers that ran as one kernel share its time; a layer's share of the SMs is that of its launches' grids, of the DRAM's
bandwidth that of its traffic by the theory.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from headroom.advise.recorded import Recorded
from headroom.advise.timed import TimedGraph
from headroom.gpu.spec import GpuSpec
from headroom.measure.profiles.profile import Launch, LaunchKind
from headroom.predict.prediction import Prediction, Source


def as_ran(run: Recorded) -> TimedGraph:
    """``run``'s graph, timed by the run: a configuration takes the mean of its layers' times."""
    timed = run.case.timed
    time_us: dict[int, float] = defaultdict(float)
    busy_us: dict[int, float] = defaultdict(float)
    for each in run.execution.runs:
        for launch in each.launches:
            _share(run, launch, each.layers, time_us, busy_us)
    for other in run.execution.others:
        if other.near is not None:
            for launch in other.launches:
                _share(run, launch, (other.near,), time_us, busy_us)
    predictions = []
    for configuration, prediction in timed.pairs():
        total_us = sum(time_us[member] for member in configuration.members)
        used = sum(busy_us[member] for member in configuration.members) / total_us if total_us else 0.0
        predictions.append(_ran(prediction, total_us / configuration.count, used))
    return replace(timed, predictions=tuple(predictions), timings=())


def sm_share(launch: Launch, gpu: GpuSpec) -> float:
    """Mean share of the SMs that a launch has a CTA on, over all waves; 1 where its grid is not known.

    A CTA counts for a whole SM: what a second kernel would get out of an SM that it shares is not promised.
    """
    if launch.kind is not LaunchKind.KERNEL:
        return 0.0
    if launch.grid is None:
        return 1.0
    ctas = math.prod(launch.grid)
    return ctas / (math.ceil(ctas / gpu.sms) * gpu.sms)


def _share(
    run: Recorded, index: int, layers: tuple[int, ...], time_us: dict[int, float], busy_us: dict[int, float]
) -> None:
    launch = run.step.launches[index]
    used = sm_share(launch, run.case.timed.gpu)
    for layer in layers:
        time_us[layer] += launch.duration_us / len(layers)
        busy_us[layer] += launch.duration_us * used / len(layers)


def _ran(prediction: Prediction, time_us: float, used: float) -> Prediction:
    if not time_us:
        # Another layer's kernel did its work, or nothing did.
        return replace(prediction, time_us=0.0, error_pct=0.0, floor_us=0.0, source=Source.MEASURED)
    return replace(
        prediction,
        time_us=time_us,
        floor_us=min(prediction.floor_us, time_us),
        tail_utilization=used,
        source=Source.MEASURED,
    )
