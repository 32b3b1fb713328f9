"""Synapse vectors: one index of a GEMM's K dimension, at the grain at which a layer may lose them.

The DeftNN paper's section 4.1.1 calls them "rows in the weight matrix and columns in the input matrix" and its Figure 4
multiplies an M x K weight matrix by a K x N input: there they are the weights' columns and the inputs' rows. The figure
and equation 1 agree with each other, so that is how they lie here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from headroom.errors import UsageError

Floats = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]


class Grain(StrEnum):
    """What one synapse vector is."""

    FEATURE = "feature"
    """An input feature of a linear layer."""
    COLUMN = "column"
    """A column of a convolution's im2col matrix: one (channel, r, s)."""
    CHANNEL = "channel"
    """An input channel of a convolution with all its r and s."""

    @property
    def is_whole(self) -> bool:
        """Whether a layer without such vectors is an ordinary smaller one, once its inputs are selected."""
        return self is not Grain.COLUMN


def by_vector(weight: Any, grain: Grain) -> Any:
    """A layer's weight as (M, K, P): M outputs, K synapse vectors, P weights of each per output.

    P is 1 except at the channel grain, where it is r times s. A view of the NumPy array or PyTorch tensor given.

    Args:
        weight: (out, in) of a linear layer, (out, in, r, s) of a convolution without groups.
        grain: what a synapse vector is.

    Raises:
        UsageError: the grain is not one of such a layer.
    """
    if grain is Grain.FEATURE and weight.ndim == 2:
        return weight[:, :, None]
    if grain is Grain.COLUMN and weight.ndim == 4:
        return weight.reshape(weight.shape[0], -1, 1)
    if grain is Grain.CHANNEL and weight.ndim == 4:
        return weight.reshape(weight.shape[0], weight.shape[1], -1)
    raise UsageError(f"a weight of {weight.ndim} dimensions has no {grain} grain; linear layers have 2, convolutions 4")


def flat(samples: Any) -> Any:
    """(samples, K, P) as (samples x P, K): every synapse vector a column, as correlation takes them.

    It holds for weights, where the samples are the layer's outputs, as for a layer's inputs.
    """
    return samples.swapaxes(1, 2).reshape(-1, samples.shape[1])
