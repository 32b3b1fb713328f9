"""The padding of a pooling layer, which its record leaves to the shapes."""

from __future__ import annotations

from headroom.graph.layer import Layer
from headroom.graph.work import Pooling
from headroom.measure.bench import UnsupportedError


def pooling_padding(layer: Layer) -> tuple[tuple[int, int], ...]:
    """(begin, end) per spatial dimension, such that windows at the layer's stride give its output.

    The smallest symmetric padding that fits is taken; where none does, the end gets one more, as if the output's
    size had been rounded up. Several paddings may give the same shapes; the work differs by less than a border.

    Raises:
        UnsupportedError: the window does not fit (a dilated one), or the padding is larger than half of it.
    """
    work = layer.work
    assert isinstance(work, Pooling)
    rank = len(work.window)
    sizes = zip(layer.inputs[0].shape[-rank:], layer.outputs[0].shape[-rank:], work.window, work.stride, strict=True)
    return tuple(_along(*dimension) for dimension in sizes)


def _along(size: int, out: int, window: int, stride: int) -> tuple[int, int]:
    for begin in range(window // 2 + 1):
        if (size + 2 * begin - window) // stride + 1 == out and size + 2 * begin >= window:
            return begin, begin
    missing = (out - 1) * stride + window - size
    begin = max(0, missing // 2)
    end = missing - begin
    if not 0 <= end <= window or begin > window // 2:
        raise UnsupportedError(f"no padding makes {out} windows of {window} at stride {stride} out of {size} values")
    return begin, end
