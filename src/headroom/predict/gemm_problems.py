"""Matrix products and the tiles that they are cut into, many of each at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Problems:
    """Matrix products: arrays of shape (P,).

    ``m``, ``n``, ``k`` and ``batch`` give the products (im2col view for a convolution); ``a_bytes``, ``b_bytes`` and
    ``c_bytes`` the different bytes of the operands and the result over the whole batch; ``a_reuse`` the
    share of a tile's A elements that are different bytes (below 1 for im2col, whose columns overlap); ``torn`` the
    share of the result's rows that begin inside a burst of DRAM (none, unless said).
    """

    m: Floats
    n: Floats
    k: Floats
    batch: Floats
    a_bytes: Floats
    b_bytes: Floats
    c_bytes: Floats
    a_reuse: Floats
    torn: Floats | None = None

    def __len__(self) -> int:
        return len(self.m)

    def rows(self, which: slice | NDArray[np.intp]) -> Problems:
        """Some of the products."""
        return self._each(lambda column: column[which])

    def column(self) -> Problems:
        """The same with shape (P, 1), to be combined with a row of tiles."""
        return self._each(lambda column: column[:, None])

    def _each(self, pick: Callable[[Floats], Floats]) -> Problems:
        columns = {name: getattr(self, name) for name in self.__slots__}
        return replace(self, **{name: pick(column) for name, column in columns.items() if column is not None})


@dataclass(frozen=True, slots=True)
class Tiles:
    """CTA tiles, of shape (C,) for candidates or (P,) for one given tile per product.

    ``splits`` says over how many CTAs the K dimension of one output tile is divided.
    """

    m: Floats
    n: Floats
    k: Floats
    splits: Floats
