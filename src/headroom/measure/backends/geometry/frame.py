"""Where the dimensions of a model's tensors go in cuDNN's: views without copies, in either order of memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headroom.measure.bench import UnsupportedError

Shape = tuple[int, ...]

#: Channels that one long row is cut into. Pointwise kernels work on tiles of 32 to 256 rows by 64 to 256 channels, and
#: their grid's y counts tiles of channels, of which CUDA allows 65,535: a single row wastes all but one row of each
#: tile (up to ten times the time), and from some million channels on its launch fails.
MOST_CHANNELS = 256


def strides_of(dims: Sequence[int], layout: str) -> Shape:
    """Elements between neighbours along each dimension; ``nhwc`` has dimension 1 innermost, all else is row-major."""
    order = list(range(len(dims)))
    if layout == "nhwc" and len(dims) > 2:
        order.append(order.pop(1))
    strides, step = [0] * len(dims), 1
    for dimension in reversed(order):
        strides[dimension] = step
        step *= dims[dimension]
    return tuple(strides)


@dataclass(frozen=True, slots=True)
class Frame:
    """A view of tensors of logical ``shape``, and of those that spread over it, in the library's dimensions.

    ``groups`` names, for each dimension of the view, the logical dimensions that it joins; an empty group is a
    dimension of 1 that the view inserts. ``layout`` is the order in memory of the view, unless ``memory`` gives its
    strides. ``permuted`` says that the tensors lie row by row in their own shape and only the view has another order.
    With ``cut`` the channels, dimension 1, are cut into that many and the rest, which the last dimension then counts.
    """

    shape: Shape
    groups: tuple[tuple[int, ...], ...]
    layout: str = ""
    memory: Shape | None = None
    permuted: bool = False
    cut: int = 0

    @property
    def dims(self) -> Shape:
        return self._divided(tuple(math.prod(self.shape[i] for i in group) for group in self.groups))

    @property
    def strides(self) -> Shape:
        return strides_of(self.dims, self.layout) if self.memory is None else self.memory

    def operand_strides(self, dims: Shape) -> Shape | None:
        """Strides of an operand of ``dims`` where they do not follow from the order of memory it is asked for in."""
        return strides_of(dims, self.layout) if self.permuted else None

    def operand(self, shape: Shape) -> Shape:
        """Dimensions in the view of a tensor that spreads over this one as numpy has it.

        Raises:
            UnsupportedError: it has more dimensions, or spreads over a part of what one dimension joins.
        """
        if len(shape) > len(self.shape):
            raise UnsupportedError(f"an operand of shape {shape} grows the result of shape {self.shape}")
        padded = (1,) * (len(self.shape) - len(shape)) + shape
        dims = []
        for group in self.groups:
            own, whole = [padded[i] for i in group], [self.shape[i] for i in group]
            if own != whole and any(size != 1 for size in own):
                raise UnsupportedError(f"an operand of shape {shape} spreads over a part of the rows of {self.shape}")
            dims.append(math.prod(own))
        return self._divided(tuple(dims))

    def _divided(self, dims: Shape) -> Shape:
        """``dims`` with the channels cut, where a tensor has them."""
        if not self.cut or dims[1] == 1:
            return dims
        return (dims[0], self.cut, *dims[2:-1], dims[1] // self.cut)


def image(shape: Shape, space: int, layout: str) -> Frame:
    """(batch, channels, space…) with two or three dimensions of space; one sample may lack its batch dimension."""
    first = 0 if len(shape) == space + 2 else -1
    batch, channels = ((first,) if first == 0 else ()), (first + 1,)
    axes = [(first + 2 + i,) for i in range(space)]
    inserted: list[tuple[int, ...]] = [()] if space == 1 else []
    return Frame(shape, (batch, channels, *inserted, *axes), layout)


def rows(shape: Shape, row_dims: int = 1) -> Frame:
    """(batch, rows, columns): columns are the last dimension, rows the ``row_dims`` before it, batch what is left."""
    rank = len(shape)
    columns = (rank - 1,) if rank else ()
    first = max(rank - 1 - row_dims, 0)
    return Frame(shape, (tuple(range(first)), tuple(range(first, max(rank - 1, 0))), columns))


def plain(shape: Shape, layout: str) -> Frame:
    """As it is, with dimensions of 1 in front up to the four that pointwise engines expect."""
    missing: tuple[tuple[int, ...], ...] = ((),) * max(0, 4 - len(shape))
    return Frame(shape, missing + tuple((i,) for i in range(len(shape))), layout)


def merged(shape: Shape, operands: Sequence[Shape]) -> Frame:
    """Row-major tensors with neighbouring dimensions joined wherever every operand has all or none of them.

    Elementwise work does not care which dimension is which, but the library's pointwise engines want channels
    innermost: the last dimension takes the channels' place, which is how row-major memory lies. Where all of them join
    into one long row, it is cut: see :data:`MOST_CHANNELS`.
    """
    rank = len(shape)
    padded = [(1,) * (rank - len(operand)) + operand for operand in operands if len(operand) <= rank]
    spreads = [tuple(own[i] == 1 for own in padded) for i in range(rank)]
    groups: list[list[int]] = []
    last: tuple[bool, ...] | None = None
    for i in range(rank):
        if shape[i] == 1 and groups:
            groups[-1].append(i)
        elif groups and last in (None, spreads[i]):
            groups[-1].append(i)
            last = spreads[i]
        else:
            groups.append([i])
            last = spreads[i] if shape[i] != 1 else None
    if len(groups) > 4:
        raise UnsupportedError(f"operands spread over {shape} in more directions than four dimensions show")
    *outer, channels = [tuple(group) for group in groups] or [()]
    # From the outside in: batch, height, width; with fewer to place, height and then batch stay 1.
    places = {0: ((), (), ()), 1: ((), (), *outer), 2: (*outer[:1], (), *outer[1:]), 3: tuple(outer)}
    batch, height, width = places[len(outer)]
    cut = 0 if outer else _cut(math.prod(shape))
    return Frame(shape, (batch, channels, height, width), "nhwc", permuted=True, cut=cut)


def _cut(channels: int) -> int:
    """How many of ``channels`` stay together: all of a few, else the divisor that fills vectors and tiles best."""
    if channels <= MOST_CHANNELS:
        return 0
    divisors = (count for count in range(1, MOST_CHANNELS + 1) if channels % count == 0)
    return max(divisors, key=lambda count: (math.gcd(count, 64), count))
