"""A recorded run with the model stored in another data type: what PyTorch would then run, layer by layer.

Convolutions and products take PyTorch's own rows in that type, in the run's layout. What 16-bit models pay elsewhere
was taken from recorded runs of 12 networks: PyTorch normalises a 16-bit batch by its own kernels, which cast the
statistics and invert the variance anew in every inference.
"""

from __future__ import annotations

from dataclasses import replace

from headroom.advise.choices import LIBRARY_KINDS, Choices, Setting
from headroom.advise.recorded import Recorded
from headroom.advise.same_kernels import implementation_of
from headroom.advise.settings import layout_of
from headroom.advise.timelines import Change
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Normalization

#: What a BatchNorm at inference costs in 16 bits beyond its own kernel: the host's time as recorded, the GPU's, in us.
NARROW_BATCH_NORM_US = (22.0, 3.2)

#: Kernels of products and attention take longer in a run than on the stopwatch, whose operands stay in the cache.
LONGER_IN_A_RUN = 1.15

#: Error of the GPU's predicted time in another type: half of 13 replayed runs of 12 networks lie within 3 %, four of
#: five within this.
DTYPE_ERROR = 0.06

_NARROW = frozenset({DataType.BF16, DataType.FP16})


def in_dtype(run: Recorded, now: Choices, then: Choices) -> Change:
    """``run`` with every layer in the data type of ``then``, whose graph is that of ``now``."""
    setting = Setting(str(layout_of(run, now)))
    change = Change()
    for layer, described in enumerate(run.case.timed.graph.layers):
        launches = run.launches_of(layer, alone=True)
        if not launches:
            continue
        time_us = run.time_us(launches)
        after_us = _after_us(run, now, then, layer, launches, setting)
        main = max(launches, key=lambda launch: run.step.launches[launch].duration_us)
        scale = after_us / time_us if time_us else 1.0
        change |= Change(gpu_us={launch: run.step.launches[launch].duration_us * scale for launch in launches})
        if _is_batch_norm(described) and then.timed.dtype in _NARROW and now.timed.dtype not in _NARROW:
            change = replace(change, added={**change.added, main: NARROW_BATCH_NORM_US})
    return change


def _after_us(
    run: Recorded, now: Choices, then: Choices, layer: int, launches: tuple[int, ...], setting: Setting
) -> float:
    """The layer's time in the other type."""
    time_us, kind = run.time_us(launches), run.case.timed.graph.layers[layer].kind
    if kind in LIBRARY_KINDS:
        after = then.torch(layer, setting)
        if after is None or after.median_us is None:
            return time_us
        before = implementation_of([run.step.launches[launch] for launch in launches], now.all(layer))
        if before is None or before.median_us is None:
            return after.median_us * LONGER_IN_A_RUN
        return time_us * after.median_us / before.median_us
    if kind is LayerKind.ATTENTION:
        return min(time_us, then.timed.times_us[layer] * LONGER_IN_A_RUN or time_us)
    before_us = now.timed.times_us[layer]
    return time_us * min(1.0, then.timed.times_us[layer] / before_us) if before_us else time_us


def _is_batch_norm(layer: Layer) -> bool:
    return isinstance(layer.work, Normalization) and layer.work.function == "batch" and not layer.work.group_elements
