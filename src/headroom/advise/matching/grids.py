"""How many values a kernel may write, from the grid it was launched with."""

from __future__ import annotations

import re

from headroom.advise.matching.signature import Span
from headroom.measure.profiles.profile import Launch

_SIZED = re.compile(r"\belementwise_kernel<(\d+), (\d+)")

#: Values per thread that PyTorch's vectorised and unrolled elementwise kernels have had, the later version's first.
_PER_THREAD = {"vectorized_elementwise_kernel": (8, 4), "unrolled_elementwise_kernel": (4, 8)}

#: Kernels with one thread for each value written.
_ONE_EACH = ("max_pool_forward_nchw", "conv_depthwise2d_forward_kernel")


def written_spans(launch: Launch) -> tuple[Span, ...]:
    """The counts of values written that the grid allows, one span for each number of values that a block may take."""
    if launch.grid is None or launch.block is None:
        return ()
    blocks, threads = launch.grid[0], launch.block[0]
    sized = _SIZED.search(launch.name)
    if sized is not None:
        return (_span(blocks, int(sized[1]) * int(sized[2])),)
    for name, choices in _PER_THREAD.items():
        if name in launch.name:
            return tuple(_span(blocks, threads * each) for each in choices)
    if any(name in launch.name for name in _ONE_EACH):
        return (_span(blocks, threads),)
    return ()


def _span(blocks: int, per_block: int) -> Span:
    return (blocks - 1) * per_block + 1, blocks * per_block
