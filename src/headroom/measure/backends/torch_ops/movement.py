"""Data movement in PyTorch. Every step writes new memory: a view would time nothing."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from headroom.graph.layer import Layer
from headroom.graph.work import Movement
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.backends.torch_ops.joining import joined, split
from headroom.measure.backends.torch_ops.looking_up import picked
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import operands_of

Shape = tuple[int, ...]
Run = Callable[[Tensor], Tensor]


def bind(layer: Layer, constants: Tensors) -> Step:
    work = layer.work
    assert isinstance(work, Movement)
    if work.function in _FILLS:
        return _filled(layer)
    if work.function == "cast":
        return _cast(layer)
    if work.function in _JOINS:
        return joined(layer)
    if work.function in ("split", "chunk", "unbind", "split_with_sizes"):
        return split(layer)
    if work.function in _PICKS:
        return picked(layer)
    make = _OF_ONE_TENSOR.get(work.function)
    floating = [operand for operand in operands_of(layer) if operand.elements > 0]
    if make is None or len(floating) != 1 or len(layer.outputs) != 1:
        raise UnsupportedError(f"no implementation of {work.function} with {len(floating)} operands in PyTorch")
    run = make(floating[0].shape, layer.outputs[0].shape, work)
    return lambda tensors: run(tensors[floating[0].name])


_JOINS = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack", "column_stack", "row_stack"})
_PICKS = frozenset({"gather", "index_select", "index", "take_along_dim", "gatherelements"})


#: Tensors written from nothing. What is written changes no time.
_FILLS = frozenset(
    {
        "zeros", "ones", "full", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like", "fill",
        "zero", "constantofshape", "scalar_tensor",
    }
)  # fmt: skip


def _filled(layer: Layer) -> Step:
    """Ones, written into a tensor that is there: see :func:`~headroom.measure.roles.places_of`."""
    if operands_of(layer):
        source = operands_of(layer)[0]
        if source.shape != layer.outputs[0].shape:
            raise UnsupportedError(f"a tensor like one of {source.shape} cannot have {layer.outputs[0].shape}")
        return lambda tensors: torch.ones_like(tensors[source.name])
    name = layer.outputs[0].name
    return lambda tensors: tensors[name].fill_(1)


def _cast(layer: Layer) -> Step:
    """To the data type of the tensor that stands for the result."""
    source, out = operands_of(layer)[0], layer.outputs[0]
    if source.element == out.element:
        raise UnsupportedError("a cast between floating-point types is no work where one data type runs throughout")
    return lambda tensors: tensors[source.name].to(tensors[out.name].dtype)


def _transposed(before: Shape, after: Shape, work: Movement) -> Run:
    axes = work.axes
    if len(axes) != len(before) or tuple(before[axis] for axis in axes) != after:
        raise UnsupportedError(f"the record of the transposition from {before} to {after} has no permutation")
    return lambda x: x.permute(axes).clone(memory_format=torch.contiguous_format)


def _copied(before: Shape, after: Shape, work: Movement) -> Run:
    """A copy into another shape, of a tensor whose dimensions may lie in memory in another order."""
    if math.prod(before) != math.prod(after):
        return _copied_spread(before, after)
    if not work.axes:
        return lambda x: x.clone(memory_format=torch.contiguous_format).reshape(after)
    # The operand comes in its logical order; what is timed is the copy from the order that it has in memory.
    back = tuple(sorted(range(len(work.axes)), key=work.axes.__getitem__))
    in_memory = tuple(before[axis] for axis in work.axes)
    return lambda x: x.reshape(in_memory).permute(back).clone(memory_format=torch.contiguous_format).reshape(after)


def _copied_spread(before: Shape, after: Shape) -> Run:
    """A copy of a view that repeats its tensor along a dimension of size 1, such as the heads of grouped keys."""
    times, rest = divmod(math.prod(after), max(math.prod(before), 1))
    ones = [dim for dim, size in enumerate(before) if size == 1]
    if rest or not ones:
        raise UnsupportedError(f"a copy of {before} cannot have the shape {after}")
    inner = ones[-1]
    spread = (*before[:inner], times, *before[inner + 1 :])
    return lambda x: x.expand(spread).clone(memory_format=torch.contiguous_format).reshape(after)


def _expanded(before: Shape, after: Shape, work: Movement) -> Run:
    return lambda x: x.expand(after).clone(memory_format=torch.contiguous_format)


def _repeated(before: Shape, after: Shape, work: Movement) -> Run:
    padded = (1,) * (len(after) - len(before)) + before
    if any(b % max(a, 1) for a, b in zip(padded, after, strict=True)):
        raise UnsupportedError(f"repeating {before} does not give {after}")
    counts = tuple(b // max(a, 1) for a, b in zip(padded, after, strict=True))
    return lambda x: x.repeat(counts)


def _padded(before: Shape, after: Shape, work: Movement) -> Run:
    """Zeros on both sides, the odd one behind."""
    extra = [b - a for a, b in zip(before, after, strict=True)]
    pads = [amount for total in reversed(extra) for amount in (total // 2, total - total // 2)]
    return lambda x: functional.pad(x, pads)


def _sliced(before: Shape, after: Shape, work: Movement) -> Run:
    """The leading part: where a slice begins is not recorded, and moves nothing but an address."""
    if len(before) != len(after):
        raise UnsupportedError(f"a slice of {before} cannot have the shape {after}")
    leading = tuple(slice(0, size) for size in after)
    return lambda x: x[leading].clone(memory_format=torch.preserve_format)


def _resized(before: Shape, after: Shape, work: Movement) -> Run:
    """Which interpolation it is, the flops per value tell: 2 taps per resized dimension are linear, 4 cubic."""
    rank = len(after) - 2
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    if before[:2] != after[:2] or rank not in (1, 2, 3):
        raise UnsupportedError(f"PyTorch resizes spatial dimensions only, not {before} to {after}")
    mode = "nearest"
    if work.flops_per_element == 2 * 4**changed and rank == 2:
        mode = "bicubic"
    elif work.flops_per_element:
        mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank]
    return lambda x: functional.interpolate(x, size=after[2:], mode=mode)


def _shuffled(before: Shape, after: Shape, work: Movement) -> Run:
    """Blocks of channels to space and back."""
    factor = after[-1] // before[-1] if after[-1] > before[-1] else before[-1] // after[-1]
    if after[-1] > before[-1]:
        return lambda x: functional.pixel_shuffle(x, factor)
    return lambda x: functional.pixel_unshuffle(x, factor)


def _flipped(before: Shape, after: Shape, work: Movement) -> Run:
    return lambda x: torch.flip(x, (len(before) - 1,))


def _rolled(before: Shape, after: Shape, work: Movement) -> Run:
    return lambda x: torch.roll(x, 1, len(before) - 1)


_OF_ONE_TENSOR: dict[str, Callable[[Shape, Shape, Movement], Run]] = {
    **dict.fromkeys(("transpose", "permute_copy", "transpose_copy"), _transposed),
    **dict.fromkeys(
        ("clone", "contiguous", "copy", "reshape", "flatten", "view_copy", "_reshape_alias", "to", "_to_copy",
         "ravel", "reshape_as", "unflatten"),
        _copied,
    ),
    **dict.fromkeys(("expand", "expand_copy"), _expanded),
    **dict.fromkeys(("repeat", "tile"), _repeated),
    **dict.fromkeys(("pad", "constant_pad_nd"), _padded),
    **dict.fromkeys(("slice", "slice_copy", "narrow"), _sliced),
    **dict.fromkeys(("resize", "upsample"), _resized),
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle", "depthtospace", "spacetodepth"), _shuffled),
    "flip": _flipped,
    "roll": _rolled,
}  # fmt: skip
