"""What an answer says of the measurements behind it, and of those that are missing."""

from __future__ import annotations

from headroom import figures
from headroom.advise.findings.common import counted
from headroom.advise.measurements import Measurements
from headroom.advise.timed import TimedGraph
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.prediction import Source
from headroom.text import plain_line

#: Most other systems that a note lists.
_OTHERS_SHOWN = 4


def measured_notes(timed: TimedGraph, measurements: Measurements | None) -> tuple[str, ...]:
    """The system that times were measured on, which of its layers are missing, and which are noisy."""
    if measurements is None:
        return ()
    system = f"{measurements.system.title} (system {measurements.system.id})"
    how = f"`{measure_command(timed.dtype, timed.graph.batch)}` on that GPU adds them"
    if not any(timed.timings):
        return (
            f"No layer of this model has been measured in {timed.dtype} with L2 {timed.l2_state} on {system}; {how}.",
            *_others(measurements),
            *_corrected(timed),
        )
    notes = [f"Measured times are of {system}. Traffic, waves and limits are predicted for every layer."]
    notes += _others(measurements)
    missing = sum(c.count for c, prediction in timed.pairs() if prediction.source is not Source.MEASURED)
    if missing:
        fate = "predicted" if timed.theory_fills else "unknown"
        verb = "has no measurement and is" if missing == 1 else "have no measurement and are"
        notes.append(f"{counted(missing, 'layer')} {verb} {fate}; {how}.")
        notes += _corrected(timed)
    noisy = [timing for timing in timed.timings if timing is not None and timing.is_noisy]
    if noisy:
        notes.append(
            f"{counted(len(noisy), 'measured configuration')} {'is' if len(noisy) == 1 else 'are'} noisy: the "
            f"interquartile range is above {figures.percent(0.1)} of the median."
        )
    return tuple(notes)


def _others(measurements: Measurements) -> tuple[str, ...]:
    """The other systems that have times for this model."""
    if not measurements.others:
        return ()
    known = []
    for other in measurements.others[:_OTHERS_SHOWN]:
        chains = counted(other.chains, "layer or chain", "layers and chains")
        known.append(f"{other.system.id} ({plain_line(other.system.title, 120)}) of {chains}")
    told = "; ".join(known)
    return (f"Other systems with this GPU have times for this model too, and --system names one: {told}.",)


def _corrected(timed: TimedGraph) -> tuple[str, ...]:
    """That another data type's rows have a say in the predictions."""
    if timed.alike is None:
        return ()
    return (f"What is predicted is corrected by how far theory is off for the same layers in {timed.alike.dtype}.",)


def nothing_measured(gpu: GpuSpec, dtype: DataType, l2_state: str, batch: int) -> str:
    """Why an answer made of measurements alone cannot be given, and what would make it possible."""
    return (
        f"nothing has been measured on {gpu.name} for this model at batch {batch} in {dtype} with L2 {l2_state}; run "
        f"`{measure_command(dtype, batch)}` on that GPU, or use --source predicted (or auto) to answer from theory"
    )


def measure_command(dtype: DataType, batch: int) -> str:
    return f"headroom measure MODEL --batch {batch} --dtype {dtype}"
