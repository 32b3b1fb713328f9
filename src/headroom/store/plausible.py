"""Whether a time that somebody else's program tells can be one: what no GPU does is no measurement."""

from __future__ import annotations

from headroom.gpu.sheets import gpu_of_driver
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.store.rows import Status, System, Timing

#: No kernel is shorter, in microseconds.
SHORTEST_US = 0.3

#: Nobody waits longer for one launch, in microseconds.
LONGEST_US = 60e6

#: Samples below which a median means nothing, and the share of it beyond which its spread is no result.
LEAST_SAMPLES = 10
MOST_NOISE = 0.25

#: How far a GPU may be above its sheet's arithmetic peak, and what transformed convolutions save of the products.
_MARGIN = 1.25
_TRANSFORMED = 10.0

_CLOCKS_MHZ = (50.0, 20_000.0)


def objection(timing: Timing, chain: Chain, dtype: DataType, system: System) -> str:
    """What is wrong with ``timing``, in a few words; empty where it may be right."""
    if timing.l2 not in ("warm", "cold"):
        return f"its state of the L2 cache is {timing.l2[:20]!r}, neither warm nor cold"
    if timing.status is not Status.OK:
        return ""
    median_us, iqr_us = timing.median_us, timing.iqr_us
    if median_us is None or iqr_us is None:
        return "it is ok and has no time or no spread"
    if not SHORTEST_US <= median_us <= LONGEST_US:
        return f"its time of {median_us:g} us is outside of what a launch takes, {SHORTEST_US:g} us to a minute"
    if timing.samples < LEAST_SAMPLES:
        return f"it is ok with {timing.samples} samples; {LEAST_SAMPLES} are needed"
    if not 0 <= iqr_us <= MOST_NOISE * median_us:
        return f"it is ok with a spread of {iqr_us:g} us around {median_us:g} us"
    if timing.relative_error is None or timing.tolerance is None or timing.relative_error > timing.tolerance:
        return "it is ok although its output was not found right"
    clock = timing.sm_clock_mhz
    if clock is not None and not _CLOCKS_MHZ[0] <= clock <= _CLOCKS_MHZ[1]:
        return f"its clock of {clock:g} MHz is none"
    floor_us = arithmetic_floor_us(chain, dtype, system)
    if median_us < floor_us:
        return (
            f"its time of {median_us:g} us is below the {floor_us:.3g} us that its arithmetic takes at this GPU's peak"
        )
    return ""


def arithmetic_floor_us(chain: Chain, dtype: DataType, system: System) -> float:
    """Microseconds below which ``chain`` cannot run on ``system``'s GPU; 0 where that has no sheet.

    Generous: Winograd and FFT kernels multiply less, a causal mask hides half, and GPUs boost.
    """
    gpu = gpu_of_driver(system.gpu)
    if gpu is None or not gpu.supports(dtype):
        return 0.0
    flops = sum(_least_macs(chain, index) for index in range(len(chain.layers))) * 2
    return flops / (gpu.peak_tflops(dtype) * 1e6) / _MARGIN


def _least_macs(chain: Chain, index: int) -> float:
    work = chain.layers[index].work
    if isinstance(work, Convolution) and not work.is_pointwise:
        return work.macs / _TRANSFORMED
    return float(getattr(work, "useful_macs", work.macs))
