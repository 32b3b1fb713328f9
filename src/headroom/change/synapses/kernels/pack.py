"""Weights and table of retained synapse vectors as the kernels read them, made once when a layer is loaded.

Columns are sorted by (r, s) and then by channel. A table entry covers ``vector`` neighbouring channels of one (r, s),
so that they load at once; those of them that were not retained have zero weights. Where the search keeps runs of
channels wide vectors cost nothing, where it keeps single ones a vector of 1 computes nothing that was removed: measure
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headroom.change.synapses.kernels.variants import PADDED_OUTPUTS, Arithmetic, vectors
from headroom.change.synapses.vectors import Floats, Indices
from headroom.errors import UsageError

_MOST_CHANNEL, _MOST_EXTENT = 2**16, 2**8


@dataclass(frozen=True, eq=False)
class Packed:
    """A layer's weights for one vector.

    Attributes:
        table: (steps x columns per step / vector,) uint32: channel in bits 0-15, r and s with dilation in 16-23, 24-31.
        weight: (steps, padded outputs, columns per step): float32, or bf16 as uint16.
        outputs: without padding.
        vector: channels per table entry.
        columns: that were retained. ``weight`` has more where vectors cover removed ones and to fill the last step.
    """

    arithmetic: Arithmetic
    table: npt.NDArray[np.uint32]
    weight: npt.NDArray[Any]
    outputs: int
    vector: int
    columns: int

    @property
    def steps(self) -> int:
        return len(self.weight)

    @property
    def computed_share(self) -> float:
        """Columns that are computed over columns that were retained, 1 at best."""
        return self.steps * self.arithmetic.per_step / self.columns


def usable_vectors(arithmetic: Arithmetic, channels: int) -> tuple[int, ...]:
    """The vectors that so many channels divide into: others would be misaligned or reach into the next pixel."""
    return tuple(vector for vector in vectors(arithmetic) if channels % vector == 0)


def pack(
    weight: Floats,
    retained: Indices,
    shape: tuple[int, int, int],
    arithmetic: Arithmetic,
    vector: int,
    dilation: tuple[int, int] = (1, 1),
) -> Packed:
    """Lay out a layer's retained weights.

    Args:
        weight: (outputs, retained).
        retained: the synapse vectors' numbers along (channel, r, s), in the order of ``weight``.
        shape: the dense layer's (channels, r, s); (features, 1, 1) of a linear layer.

    Raises:
        UsageError: the channels do not divide into vectors, or are more than the table can number.
    """
    channels, r, s = shape
    extent = max((r - 1) * dilation[0], (s - 1) * dilation[1]) + 1
    if vector not in usable_vectors(arithmetic, channels):
        raise UsageError(f"{channels} channels have no {arithmetic} table of {vector} at a time; use fewer at a time")
    if channels > _MOST_CHANNEL or extent > _MOST_EXTENT:
        raise UsageError(f"{channels} channels in windows of {extent} are more than a table numbers; leave it dense")
    channel, place = retained // (r * s), retained % (r * s)
    keys, entry_of = np.unique(place * (channels // vector) + channel // vector, return_inverse=True)
    per_step = arithmetic.per_step
    steps = -(-len(keys) * vector // per_step)
    table = np.zeros(steps * per_step // vector, np.uint32)
    places, starts = np.divmod(keys, channels // vector)
    rows, columns = places // s * dilation[0], places % s * dilation[1]
    table[: len(keys)] = starts * vector | rows << 16 | columns << 24
    outputs = len(weight)
    padded = np.zeros((-(-outputs // PADDED_OUTPUTS) * PADDED_OUTPUTS, steps * per_step), np.float32)
    padded[:outputs, entry_of * vector + channel % vector] = weight
    laid = padded.reshape(len(padded), steps, per_step).swapaxes(0, 1)
    return Packed(arithmetic, table, _rounded(np.ascontiguousarray(laid), arithmetic), outputs, vector, len(retained))


def _rounded(values: npt.NDArray[np.float32], arithmetic: Arithmetic) -> npt.NDArray[Any]:
    """To the nearest number of the arithmetic: bf16 ties to even, tf32 away from zero."""
    bits = values.view(np.uint32)
    if arithmetic is Arithmetic.BF16:
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    if arithmetic is Arithmetic.TF32:
        return (bits + np.uint32(0x1000) & np.uint32(0xFFFFE000)).view(np.float32)
    return values
