"""The table by which the convolution's kernel walks a window: an entry a load, made once per layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headroom.change.fission.formats import Format
from headroom.change.fission.kernels.convolution_variants import ConvolutionVariant
from headroom.change.fission.kernels.gemm_variants import Side
from headroom.errors import UsageError

#: What an entry numbers: loads of a pixel's channels, and places of a window, dilation included.
_MOST_LOADS, MOST_EXTENT = 2**16, 2**8


def table_of(
    window: tuple[int, int], dilation: tuple[int, int], channels: int, variant: ConvolutionVariant
) -> npt.NDArray[np.uint32]:
    """Entries of ``windows.cuh``: each load's place in the window and among the channels, to the end of the last tile.

    Args:
        channels: of a group, filled up to whole loads.

    Raises:
        UsageError: a pixel has more loads than an entry numbers.
    """
    loads = channels // variant.load_values
    if loads > _MOST_LOADS:
        raise UsageError(f"{loads} loads of a pixel are more than the kernel numbers; use wider ones")
    rows, columns = (np.arange(size) * apart for size, apart in zip(window, dilation, strict=True))
    places = (rows[:, None] << 16 | columns[None, :] << 24).reshape(-1, 1)
    entries = (places | np.arange(loads)).astype(np.uint32).ravel()
    tiles = -(-len(entries) * variant.load_values // variant.tile_k)
    table = np.zeros(tiles * variant.tile_k // variant.load_values, np.uint32)
    table[: len(entries)] = entries
    return table


def weights_side(form: Format) -> Side | None:
    """The weights of a layer in that format, split near the arithmetic; ``None`` for formats with scales of groups."""
    group = getattr(form, "group", None)
    return None if group else Side(form.name)


def load_table(form: Format, shape: Sequence[int], places: Mapping[str, Any]) -> npt.NDArray[np.int32] | None:
    """The table of a layer with fp32 images; ``None`` where no instance is for it.

    Args:
        shape: the weight's (out, in / groups, r, s).
        places: of the layer; ``dilation`` counts.
    """
    side = weights_side(form)
    dilation = pair(places.get("dilation", 1))
    _, channels, *window = shape
    extents = [(size - 1) * apart + 1 for size, apart in zip(window, dilation, strict=True)]
    if side is None or max(extents) > MOST_EXTENT or not 0 < channels <= _MOST_LOADS:
        return None
    variant = ConvolutionVariant(Side(), side, load_words=load_words(channels))
    return table_of((window[0], window[1]), dilation, channels, variant).view(np.int32)


def load_words(channels: int) -> int:
    """How fp32 images with so many channels in a group are read."""
    return 1 if channels % 4 else 4


def pair(given: Any) -> tuple[int, int]:
    """One number for both directions, or two."""
    first, second = (given, given) if isinstance(given, int) else given
    return int(first), int(second)
