"""A convolution as the kernel with fission sees it: its geometry, and how it is cut into CTAs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headroom.change.fission.kernels.convolution_variants import ConvolutionVariant
from headroom.change.fission.kernels.gemm_variants import TILE, Side
from headroom.change.fission.kernels.window_table import MOST_EXTENT, table_of
from headroom.errors import UsageError

#: Threads that an SM holds at the kernel's registers.
_THREADS_OF_AN_SM = 512
_MOST_INDEX, _MOST_PLACE = 2**31 - 1, 2**15 - 1
#: Tiles along K below which a part is not worth its sums' way through memory.
_LEAST_TILES, _MOST_PARTS = 8, 32


@dataclass(frozen=True, slots=True)
class Convolution:
    """Images (batch, channels, height, width) and the windows over them.

    Attributes:
        padding: zeros above and below, left and right.

    Raises:
        UsageError: there is no output, or more than the kernel indexes.
    """

    batch: int
    channels: int
    size: tuple[int, int]
    outputs: int
    window: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        if self.channels % self.groups or self.outputs % self.groups:
            raise UsageError(
                f"{self.channels} channels and {self.outputs} outputs do not divide into {self.groups} groups"
            )
        if min(self.batch, self.channels, self.outputs, *self.size_out) < 1:
            raise UsageError(f"windows of {self.extent} on images of {self.size} leave no output; pad the images")
        if max(self.extent) > MOST_EXTENT or max(self.size) + max(self.padding) > _MOST_PLACE:
            raise UsageError(f"windows of {self.extent} on images of {self.size} are more than the kernel numbers")
        inputs = self.batch * self.size[0] * self.size[1] * self.padded_channels(8) * self.groups
        if max(inputs, self.pixels * self.outputs, self.k(8)) > _MOST_INDEX:
            raise UsageError(f"{inputs} inputs are more than the kernel indexes; cut the batch")

    @property
    def extent(self) -> tuple[int, int]:
        """Of a window, dilation included."""
        return (self.window[0] - 1) * self.dilation[0] + 1, (self.window[1] - 1) * self.dilation[1] + 1

    @property
    def size_out(self) -> tuple[int, int]:
        height, width = (
            (size + 2 * padding - extent) // stride + 1
            for size, padding, extent, stride in zip(self.size, self.padding, self.extent, self.stride, strict=True)
        )
        return height, width

    @property
    def pixels(self) -> int:
        """M of the implicit GEMM."""
        return self.batch * self.size_out[0] * self.size_out[1]

    @property
    def group_outputs(self) -> int:
        """N of the implicit GEMM, of one group."""
        return self.outputs // self.groups

    @property
    def multiply_adds(self) -> int:
        return self.pixels * self.outputs * self.window[0] * self.window[1] * self.channels // self.groups

    def padded_channels(self, multiple: int) -> int:
        """Channels of a group, filled up."""
        return -(-self.channels // self.groups // multiple) * multiple

    def k(self, load_values: int) -> int:
        """K of the implicit GEMM with channels filled up to whole loads."""
        return self.window[0] * self.window[1] * self.padded_channels(load_values)

    def table(self, variant: ConvolutionVariant) -> npt.NDArray[np.uint32]:
        """As :func:`table_of` has it."""
        return table_of(self.window, self.dilation, self.padded_channels(variant.load_values), variant)

    def tiles(self, tile_n: int) -> int:
        """CTAs without regard to parts of K."""
        return -(-self.pixels // TILE) * -(-self.group_outputs // tile_n) * self.groups

    def grid(self, variant: ConvolutionVariant, parts: int) -> tuple[int, int, int]:
        return self.tiles(variant.tile_n) // self.groups, 1, self.groups * parts

    def usual_tile(self) -> int:
        """The wide tile, which reads less, unless the narrow one leaves less of its columns idle."""
        idle = {tile: -self.group_outputs % tile for tile in (128, 64)}
        return 64 if idle[64] < idle[128] else 128

    def usual_parts(self, variant: ConvolutionVariant, sms: int) -> int:
        """Into how many parts K is cut so that every SM is full: 1 where the tiles alone are enough."""
        ctas = sms * _THREADS_OF_AN_SM // variant.threads
        most = -(-self.k(variant.load_values) // variant.tile_k) // _LEAST_TILES
        return max(1, min(ctas // self.tiles(variant.tile_n), most, _MOST_PARTS))

    def arguments(
        self, variant: ConvolutionVariant, image_words: int, weight_loads: int, parts: int
    ) -> tuple[int, ...]:
        """What ``packed_convolution`` takes from ``m`` to ``before``.

        Args:
            image_words: of 32 bits from one image to the next.
            weight_loads: of 16 bytes from one output's weights to the next's.
        """
        rows, columns = self.size_out
        group_loads = self.padded_channels(variant.load_values) // variant.load_values
        product = (self.pixels, self.group_outputs, self.k(variant.load_values), self.groups, parts)
        images = (*self.size, self.groups * group_loads, image_words // variant.load_words)
        return (*product, weight_loads, group_loads, *images, columns, rows * columns, *self.stride, *self.padding)


def variant_for(convolution: Convolution, left: Side, right: Side, tile_n: int | None = None) -> ConvolutionVariant:
    """The instance for a layer: wide loads where they need no more filling of channels than narrow ones."""
    tile_n = tile_n or convolution.usual_tile()
    wide, narrow = (ConvolutionVariant(left, right, tile_n, words) for words in (4, 1))
    fits = convolution.padded_channels(wide.load_values) == convolution.padded_channels(narrow.load_values)
    return wide if fits else narrow
