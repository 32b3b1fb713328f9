"""A layer as the kernels see it, and how its work is cut into CTAs."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.change.synapses.kernels.variants import Gather
from headroom.errors import UsageError

#: Elements that a 32-bit index reaches, and pixels that a 16-bit place does.
_MOST_ELEMENTS, _MOST_PLACE = 2**31 - 1, 2**15 - 1
#: Steps of K below which a part is not worth its sums' way through memory.
_LEAST_STEPS = 8
_MOST_PARTS = 32


@dataclass(frozen=True, slots=True)
class Layer:
    """Inputs (batch, channels, height, width) and the windows over them; a linear layer has images of 1 x 1.

    Attributes:
        extent: the window's height and width, dilation included.
        padding: zeros left, right, above and below.
    """

    batch: int
    channels: int
    size: tuple[int, int]
    outputs: int
    extent: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        most = max(self.pixels * self.outputs, self.batch * self.channels * self.size[0] * self.size[1])
        if min(self.size_out) < 1:
            raise UsageError(f"a window of {self.extent} does not fit into {self.size}; pad the images")
        if most > _MOST_ELEMENTS or max(self.size) + max(self.padding) > _MOST_PLACE:
            raise UsageError(f"{most} elements on images of {self.size} are more than the kernels index; cut the batch")

    @property
    def size_out(self) -> tuple[int, int]:
        left, right, above, below = self.padding
        height = (self.size[0] + above + below - self.extent[0]) // self.stride[0] + 1
        return height, (self.size[1] + left + right - self.extent[1]) // self.stride[1] + 1

    @property
    def pixels(self) -> int:
        """M of the implicit GEMM."""
        return self.batch * self.size_out[0] * self.size_out[1]

    @property
    def arguments(self) -> tuple[int, ...]:
        """What ``gather`` in gather.cu takes from ``m`` on."""
        rows, columns = self.size_out
        left, _, above, _ = self.padding
        sizes = (self.pixels, self.outputs, *self.size, self.channels, columns, rows * columns)
        return (*sizes, *self.stride, above, left)

    def grid(self, variant: Gather, parts: int = 1) -> tuple[int, int, int]:
        """CTAs along M, N and K."""
        return -(-self.pixels // variant.tile.m), -(-self.outputs // variant.tile.n), parts

    def parts(self, variant: Gather, steps: int, sms: int) -> int:
        """Into how many parts K is cut so that every SM has a CTA: 1 where the tiles alone are enough."""
        along_m, along_n, _ = self.grid(variant)
        wanted = -(-sms // (along_m * along_n))
        return max(1, min(wanted, steps // _LEAST_STEPS, _MOST_PARTS))
