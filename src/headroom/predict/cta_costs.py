"""What CTAs on plain units cost beside their multiplications.

Three things that tables of im2col kernels show on every GPU from Maxwell to Turing, in clock cycles alike:

* However idle its SM, a CTA takes no less than ``step_cycles`` for one step of its main loop: its warps wait for
  their own loads, their shared memory and each other. A second CTA on the SM fills the gaps, so only the last
  round of CTAs, which may be alone, waits. Where the operands do not fit in L2, a step waits for DRAM instead.
* Each partition of an SM runs its own warps. Three CTAs of two warps keep two of four partitions waiting for the
  other two.
* A CTA ends by storing its results (``output_cycles`` of the SM for each), and a row of results that begins inside
  a burst of DRAM tears the bursts at both its ends: they are read, changed and written back twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec

Floats = NDArray[np.float64]

#: Partitions of an SM, each with its own scheduler; the P100's SM has two.
_PARTITIONS, _PARTITIONS_OF = 4.0, {"6.0": 2.0}

#: Bytes that DRAM reads and writes at once (HBM2; GDDR5X and GDDR6 too).
_BURST_BYTES = 64.0


def step_us(gpu: GpuSpec, step_cycles: float, missing: Floats | float) -> Floats | float:
    """The shortest step of a CTA's main loop, where a share ``missing`` of the loads comes from DRAM."""
    return (step_cycles / gpu.clock_mhz) + (gpu.dram.latency_ns - gpu.l2.latency_ns) * 1e-3 * missing


def idle_us(cta_us: Floats, last: Floats, warps: Floats, shortest_us: Floats, gpu: GpuSpec) -> Floats:
    """How much longer the last round of CTAs takes than its multiplications at the SM's full rate.

    ``cta_us`` is a CTA's main loop with the whole SM for itself, ``last`` the number of CTAs in the last round,
    ``warps`` those of each CTA, ``shortest_us`` what no CTA's main loop stays below.
    """
    partitions = _PARTITIONS_OF.get(gpu.compute_capability, _PARTITIONS)
    held = last * warps
    busy = last * cta_us
    uneven = np.ceil(held / partitions) * partitions / held
    idle: Floats = np.maximum(busy * uneven, shortest_us) - busy
    return idle


def torn_share(row: Floats, width: float) -> Floats:
    """Share of rows of ``row`` results of ``width`` bytes, one behind the other, that begin inside a burst of DRAM."""
    aligned, step = np.ones_like(row), 2.0
    while step * width <= _BURST_BYTES:
        aligned = np.where(np.mod(row, step) == 0.0, step, aligned)
        step *= 2.0
    return 1.0 - aligned * (width / _BURST_BYTES)
