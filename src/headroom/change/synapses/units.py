"""Columns of length 1 and the products of blocks of them: the arithmetic under every correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headroom.change.synapses.vectors import Floats, Indices
from headroom.errors import ModelError, UsageError

#: A vector whose spread is so small a share of its size is constant: float32 holds no more.
CONSTANT = 1e-6
#: Columns that are standardised at a time, in float64.
_COLUMNS = 1024
#: Values of pairs that are multiplied at a time.
_PAIR_VALUES = 1 << 24


class Units:
    """A matrix with every column brought to length 1, as float32; zero columns stay zero.

    Args:
        matrix: (elements, K), a NumPy array or a PyTorch tensor.
        centred: take each column's mean off first; constant columns then become zero too.
        device: multiply with PyTorch on this device; ``None`` for NumPy. TF32 must be off there, as it is by default.

    Raises:
        ModelError: a value is not finite.
        UsageError: the matrix has not two dimensions, or no element.
    """

    def __init__(self, matrix: Any, *, centred: bool, device: str | None = None) -> None:
        values = as_numpy(matrix)
        if values.ndim != 2 or 0 in values.shape:
            raise UsageError(f"synapse vectors of shape {values.shape} cannot be correlated; give (elements, K)")
        self.elements, self.count = values.shape
        #: (K,): columns of zeros.
        self.zero: npt.NDArray[np.bool_] = np.zeros(self.count, np.bool_)
        #: (K,): each column's mean before centring, in units of its root mean square.
        self.means: Floats = np.zeros(self.count)
        self._numpy = np.empty(values.shape, np.float32)
        for start in range(0, self.count, _COLUMNS):
            self._standardise(values, slice(start, min(start + _COLUMNS, self.count)), centred)
        self._torch = None if device is None else _on(device, self._numpy)

    def _standardise(self, values: Floats, part: slice, centred: bool) -> None:
        columns = values[:, part].astype(np.float64)
        largest = np.abs(columns).max(0)
        if not np.isfinite(largest).all():
            wrong = part.start + int(np.flatnonzero(~np.isfinite(largest))[0])
            raise ModelError(f"synapse vector {wrong} holds a value that is not finite; train or sample it again")
        self.zero[part] = largest == 0
        # Scaled by the largest first: squares of very small or very large weights would vanish or overflow.
        columns /= np.where(largest == 0, 1, largest)
        root = np.sqrt((columns**2).mean(0))
        mean = columns.mean(0)
        self.means[part] = mean / np.where(largest == 0, 1, root)
        if centred:
            columns -= mean
        spread = np.sqrt((columns**2).mean(0))
        varies = spread > CONSTANT * root
        self._numpy[:, part] = columns * np.where(varies, 1 / (np.where(varies, spread, 1) * self.elements**0.5), 0)

    def block(self, rows: slice, columns: slice) -> Floats:
        """The inner products of ``rows`` with ``columns``, float32."""
        if self._torch is None:
            product: Floats = self._numpy[:, rows].T @ self._numpy[:, columns]
        else:
            product = (self._torch[:, rows].T @ self._torch[:, columns]).cpu().numpy()
        return product

    def pairs(self, left: Indices, right: Indices) -> Floats:
        """The inner products of column ``left[i]`` with column ``right[i]``, float32."""
        found = np.empty(len(left), np.float32)
        step = max(1, _PAIR_VALUES // self.elements)
        for start in range(0, len(left), step):
            part = slice(start, start + step)
            found[part] = np.einsum("ni,ni->i", self._numpy[:, left[part]], self._numpy[:, right[part]])
        return found


def as_numpy(values: Any) -> npt.NDArray[Any]:
    """A NumPy array of what may be a PyTorch tensor, on any device and of any type."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        values = values.float() if values.is_floating_point() and values.element_size() < 4 else values
        return np.asarray(values.numpy())
    return np.asarray(values)


def _on(device: str, units: npt.NDArray[np.float32]) -> Any:
    import torch

    return torch.from_numpy(units).to(device)
