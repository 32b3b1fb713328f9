"""Correlation between synapse vectors (equation 6 of the DeftNN paper), block by block.

What is undefined there is defined here. A vector of zeros is *dead*: it adds nothing to any output, and it is removed
without a representative. Any other constant vector has no variance, correlates with nothing and stays. A value that is
not finite is an error. A layer of one output has vectors of one element: all constant, so all stay.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from headroom.change.synapses.units import CONSTANT, Units
from headroom.change.synapses.vectors import Floats, Indices
from headroom.errors import UsageError


class Correlation(Protocol):
    """How alike synapse vectors are."""

    @property
    def count(self) -> int:
        """K, how many synapse vectors there are."""

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """(K,): which of them add nothing to any output."""

    def block(self, rows: slice, columns: slice) -> Floats:
        """The correlations of ``rows`` with ``columns``; 0 where one of the two is dead or constant."""

    def pairs(self, left: Indices, right: Indices) -> Floats:
        """The correlations of ``left[i]`` with ``right[i]``."""


class VectorCorrelation:
    """Pearson's correlation of a matrix's columns: of the weights, as in the paper, or of a sample of the inputs.

    Args:
        matrix: (elements, K), each synapse vector a column: :func:`headroom.change.synapses.vectors.flat` makes it. A
            NumPy array or a PyTorch tensor.
        device: where PyTorch multiplies; ``None`` for NumPy.

    Raises:
        ModelError: a value is not finite.
        UsageError: the matrix has not two dimensions, or no element.
    """

    def __init__(self, matrix: Any, *, device: str | None = None) -> None:
        self._units = Units(matrix, centred=True, device=device)
        self.count, self.dead = self._units.count, self._units.zero

    def block(self, rows: slice, columns: slice) -> Floats:
        return self._units.block(rows, columns)

    def pairs(self, left: Indices, right: Indices) -> Floats:
        return self._units.pairs(left, right)


class ContributionCorrelation:
    """Correlation of what synapse vectors add to the outputs: equation 6 of the outer products of weights and inputs.

    Synapse vector k adds w_k x_k^T to the outputs, a matrix of M x samples elements. Two of them have the inner product
    (w_i . w_j) (x_i . x_j) and each a mean that is the product of two means, so their correlation takes two products of
    blocks and never such a matrix. At the channel grain w_k and x_k are the channel's flattened vectors.

    Args:
        weights: (elements, K), each synapse vector a column.
        inputs: (samples, K).
        device: where PyTorch multiplies; ``None`` for NumPy.

    Raises:
        ModelError: a value is not finite.
        UsageError: the two do not fit each other, or hold no element.
    """

    def __init__(self, weights: Any, inputs: Any, *, device: str | None = None) -> None:
        self._weights = Units(weights, centred=False, device=device)
        self._inputs = Units(inputs, centred=False, device=device)
        self.count = self._weights.count
        if self._inputs.count != self.count:
            raise UsageError(f"{self.count} weight vectors, {self._inputs.count} input vectors; give both of one layer")
        self.dead = self._weights.zero | self._inputs.zero
        means = self._weights.means * self._inputs.means
        varies = (1 - means**2 > CONSTANT) & ~self.dead
        self._means = means.astype(np.float32)
        self._scale = np.where(varies, 1 / np.sqrt(np.where(varies, 1 - means**2, 1)), 0).astype(np.float32)

    def block(self, rows: slice, columns: slice) -> Floats:
        product = self._weights.block(rows, columns) * self._inputs.block(rows, columns)
        product -= np.outer(self._means[rows], self._means[columns])
        product *= np.outer(self._scale[rows], self._scale[columns])
        return product

    def pairs(self, left: Indices, right: Indices) -> Floats:
        product = self._weights.pairs(left, right) * self._inputs.pairs(left, right)
        product -= self._means[left] * self._means[right]
        product *= self._scale[left] * self._scale[right]
        return product


class HeldCorrelation:
    """Another correlation, computed once and kept: K^2 float32. For layers of few vectors and many searches."""

    def __init__(self, source: Correlation) -> None:
        self.count, self.dead = source.count, source.dead
        self._values = source.block(slice(0, source.count), slice(0, source.count))

    def block(self, rows: slice, columns: slice) -> Floats:
        return self._values[rows, columns]

    def pairs(self, left: Indices, right: Indices) -> Floats:
        found: Floats = self._values[left, right]
        return found
