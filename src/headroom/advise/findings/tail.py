"""Whose last wave is mostly empty? (The GPU tail effect.)

A layer's CTAs run in waves of as many as fit on the GPU; a last wave of a few CTAs takes as long as a full one
while most SMs idle. The saving named here is what an even last wave would give: an upper limit of what another
width, tile or batch can bring.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.timed import TimedGraph
from headroom.graph.layer import Layer
from headroom.predict.prediction import Prediction, Source

#: A measured layer whose time the theory misses by more than this factor runs another kernel, in other waves.
OTHER_KERNEL = 1.5

#: Fill of the last wave under which it counts as mostly empty.
MOSTLY_EMPTY = 0.5


def tail_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding per configuration with at least one full wave and a mostly empty last one."""
    for configuration, prediction in timed.pairs():
        waves = prediction.waves
        # Streaming kernels pick their grid to suit the GPU; a tile that must cover the output cannot.
        if not configuration.layer.kind.computes_gemm:
            continue
        if prediction.time_us is None or waves is None or waves <= 1.0:
            continue
        fill = waves - math.floor(waves)
        if not 0.0 < fill < MOSTLY_EMPTY:
            continue
        saves_us = _saves_us(prediction.time_us, waves, prediction.floor_us, timed.gpu.launch_us) * configuration.count
        layer = configuration.layer
        if _is_another_kernel(timed.measured_over_predicted(configuration.members[0])):
            continue
        yield make_finding(
            timed,
            kind="tail",
            title=f"{layer.name}: the last of {math.ceil(waves)} waves is {figures.percent(fill)} full",
            action=_action(layer, prediction, configuration.count),
            layers=configuration.members,
            saves_us=saves_us,
        )


def _is_another_kernel(measured_over_predicted: float) -> bool:
    return not 1 / OTHER_KERNEL <= measured_over_predicted <= OTHER_KERNEL


def _saves_us(time_us: float, waves: float, floor_us: float, launch_us: float) -> float:
    """What an even last wave takes off one layer: never the launch, and never what its floor needs."""
    # Without the ragged wave the same work needs `waves` instead of ceil(waves) wave times.
    in_waves_us = max(0.0, time_us - launch_us)
    return min(in_waves_us * (1.0 - waves / math.ceil(waves)), max(0.0, time_us - floor_us))


def _action(layer: Layer, prediction: Prediction, count: int) -> str:
    tile = f" of {prediction.tile[0]}x{prediction.tile[1]} tiles" if prediction.tile else ""
    # The library may have picked another tile than the theory supposes.
    theory = "by theory " if prediction.source is Source.MEASURED else ""
    places = f" ({counted(count, 'layer')} like it)" if count > 1 else ""
    return (
        f"Try a slightly smaller width or batch, or a tile that divides the output better, for {layer.name}{places}: "
        f"{theory}{prediction.ctas} CTAs{tile} fill {prediction.waves:.2f} waves."
    )
