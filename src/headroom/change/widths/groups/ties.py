"""Atoms that are one channel, because they met: an equivalence that grows while a network runs."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor


class Ties:
    """Pairs among ``count`` atoms, and the classes that they make."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pairs: list[Tensor] = []
        #: The classes that so many entries of the list make.
        self._known: tuple[int, np.ndarray] = (0, np.arange(count))

    def add(self, pairs: Tensor) -> None:
        """Tie atoms, the columns of a 2 x n tensor."""
        self._pairs.append(pairs)

    def classes(self) -> np.ndarray:
        """The class of each atom; numbers of classes change as pairs come."""
        if self._known[0] != len(self._pairs):
            first, second = torch.cat(self._pairs, dim=1).numpy()
            size = self._count
            joined = coo_array((np.ones(first.size, dtype=np.int8), (first, second)), shape=(size, size))
            self._known = (len(self._pairs), connected_components(joined, directed=False)[1])
        return self._known[1]
