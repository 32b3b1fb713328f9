"""What a sheet whose bandwidths are derived adds to an error bar; a probed sheet adds nothing.

Where no source states a bandwidth, a rule derives it from measured relatives (``docs/gpus.md``). The rules' own spread
is known from the GPUs that were measured: kernels reach 75 to 98 % of a DRAM's peak, and two GPUs of one architecture
differ by up to a third in what L2 delivers per clock and SM. A layer that such a bandwidth limits is as unsure as it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headroom.gpu.spec import GpuSpec
from headroom.predict.gemm_problems import Floats
from headroom.predict.prediction import Bottleneck

#: The field of the sheet that limits, and the half-width in percent inside which a derived one is right nine times of
#: ten: all that measured GPUs of one architecture differ by, and half of the span that kernels reach of a DRAM's peak.
RULE_ERROR_PCT = {Bottleneck.L2: ("l2_bandwidth_gbs", 33.0), Bottleneck.DRAM: ("dram_bandwidth_gbs", 14.0)}


def rule_error_pct(gpu: GpuSpec, limit: Bottleneck) -> float:
    """How unsure the figure is that limits a layer; 0 where a source states it."""
    field, error_pct = RULE_ERROR_PCT.get(limit, ("", 0.0))
    return error_pct if field in gpu.derived else 0.0


def widened(error_pct: float, limit: Bottleneck, gpu: GpuSpec) -> float:
    """An error bar with the sheet's doubt: kernels and sheet err independently."""
    doubt = rule_error_pct(gpu, limit)
    return float(np.sqrt(error_pct * error_pct + doubt * doubt)) if doubt else error_pct


def widened_rows(
    error_pct: Floats, limits: NDArray[np.intp], names: Sequence[Bottleneck], gpu: GpuSpec
) -> Floats:  # fmt: skip
    """:func:`widened` for many layers; ``limits`` indexes ``names``."""
    doubt = np.array([rule_error_pct(gpu, name) for name in names])[limits]
    return np.where(doubt > 0.0, np.sqrt(error_pct * error_pct + doubt * doubt), error_pct)
