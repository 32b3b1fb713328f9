"""Computing shapes: small constants pushed through the operators that exporters compute shapes with.

Everything here works on arrays of at most :data:`~headroom.graph.onnx.elements.TRACKED_VALUES` values, so a
file cannot make it slow or large: each function that could grow its operands checks the size first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.elements import TRACKED_VALUES, element_name, tensor_data

Array = NDArray[Any]
Evaluate = Callable[[Call, list[Array]], "Array | list[Array] | None"]


def fold(call: Call) -> list[Array] | None:
    """The outputs of a call whose operands' contents are all known, or ``None`` where that is not needed.

    Operators that exporters do not compute shapes with are left alone: their results stay without contents.
    """
    evaluate = _EVALUATE.get(call.operator)
    if evaluate is None or call.domain not in ("", "ai.onnx"):
        return None
    data = [value.data for value in call.inputs if value is not None]
    if any(array is None for array in data):
        return None
    try:
        with np.errstate(all="ignore"):
            result = evaluate(call, [array for array in data if array is not None])
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, KeyError, MemoryError):
        # An operand that does not fit: inference reports it with the node's name.
        return None
    if result is None:
        return None
    results = result if isinstance(result, list) else [result]
    return results if all(array.size <= TRACKED_VALUES for array in results) else None


def shape_of(call: Call) -> Array:
    """The Shape operator; it needs no contents."""
    shape = call.shape(0)
    start, end = int(call.attribute("start", 0)), call.attribute("end")
    return np.array(shape[start : None if end is None else int(end)], dtype=np.int64)


def _broadcasts(data: list[Array]) -> bool:
    """Whether what the operands broadcast to is small: two vectors can make a huge matrix."""
    return math.prod(np.broadcast_shapes(*(array.shape for array in data))) <= TRACKED_VALUES


def _numpy(function: Callable[..., Any]) -> Evaluate:
    return lambda call, data: np.asarray(function(*data)) if _broadcasts(data) else None


def _same_type(function: Callable[..., Any]) -> Evaluate:
    """ONNX keeps the operand's type where numpy would widen it."""
    return lambda call, data: np.asarray(function(*data)).astype(data[0].dtype) if _broadcasts(data) else None


def _divide(call: Call, data: list[Array]) -> Array | None:
    left, right = data
    if not _broadcasts(data):
        return None
    if left.dtype.kind in "iu":
        # Integer division truncates towards zero in ONNX and floors in numpy.
        if not right.all():
            return None
        return np.asarray(np.sign(left) * np.sign(right) * (np.abs(left) // np.abs(right))).astype(left.dtype)
    return np.asarray(left / right)


def _cast(call: Call, data: list[Array]) -> Array | None:
    name = element_name(int(call.attribute("to", 0)))
    if name in ("bfloat16", "float8", "string", "complex64", "complex128"):
        return None
    return data[0].astype(np.dtype(name))


def _reshape(call: Call, data: list[Array]) -> Array:
    source = data[0]
    wanted = [int(v) for v in (data[1].ravel() if len(data) > 1 else call.attribute("shape"))]
    if not call.attribute("allowzero", 0):
        wanted = [source.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return source.reshape(wanted)


def _axes(call: Call, data: list[Array]) -> tuple[int, ...] | None:
    if len(data) > 1:
        return tuple(int(v) for v in data[1].ravel())
    listed = call.attribute("axes")
    return None if listed is None else tuple(int(v) for v in listed)


def _squeeze(call: Call, data: list[Array]) -> Array:
    axes = _axes(call, data)
    return data[0].squeeze() if axes is None else data[0].squeeze(axes)


def _slice(call: Call, data: list[Array]) -> Array:
    source = data[0]
    starts = call.integers(1, "starts") or ()
    ends = call.integers(2, "ends") or ()
    axes = call.integers(3, "axes") or tuple(range(len(starts)))
    steps = call.integers(4, "steps") or (1,) * len(starts)
    window: list[slice] = [slice(None)] * source.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # An end below the first element of a backwards slice means "to the very beginning".
        stop = None if step < 0 and end < -source.shape[axis] else end
        window[axis] = slice(start, stop, step)
    return source[tuple(window)]


def _split(call: Call, data: list[Array]) -> list[Array]:
    axis = int(call.attribute("axis", 0))
    sizes = call.integers(1, "split")
    if sizes is None:
        return list(np.array_split(data[0], len(call.outputs), axis))
    return list(np.split(data[0], np.cumsum(sizes)[:-1].tolist(), axis))


def _constant_of_shape(call: Call, data: list[Array]) -> Array | None:
    shape = tuple(int(v) for v in data[0].ravel())
    if math.prod(shape) > TRACKED_VALUES or min(shape, default=0) < 0:
        return None
    filler = call.attribute("value")
    contents = np.zeros(1, np.float32) if filler is None else tensor_data(filler)
    return None if contents is None else np.full(shape, contents.ravel()[0])


def _range(call: Call, data: list[Array]) -> Array | None:
    start, limit, delta = (array.ravel()[0] for array in data)
    if delta == 0 or not abs(float(limit) - float(start)) / abs(float(delta)) <= TRACKED_VALUES:
        return None
    return np.arange(start, limit, delta).astype(data[0].dtype)


def _expand(call: Call, data: list[Array]) -> Array | None:
    shape = np.broadcast_shapes(data[0].shape, tuple(int(v) for v in data[1].ravel()))
    return np.broadcast_to(data[0], shape).copy() if math.prod(shape) <= TRACKED_VALUES else None


def _tile(call: Call, data: list[Array]) -> Array | None:
    repeats = [int(v) for v in data[1].ravel()]
    return np.tile(data[0], repeats) if data[0].size * math.prod(repeats) <= TRACKED_VALUES else None


def _clip(call: Call, data: list[Array]) -> Array | None:
    if not _broadcasts(data):
        return None
    low = data[1] if call.has(1) else call.attribute("min")
    high = data[-1] if call.has(2) else call.attribute("max")
    return np.clip(data[0], low, high).astype(data[0].dtype)


def _reduce(function: Callable[..., Any]) -> Evaluate:
    def evaluate(call: Call, data: list[Array]) -> Array:
        axes = _axes(call, data)
        if not axes and call.attribute("noop_with_empty_axes", 0):
            return data[0]
        kept = bool(call.attribute("keepdims", 1))
        return np.asarray(function(data[0], axis=axes or None, keepdims=kept)).astype(data[0].dtype)

    return evaluate


def _trilu(call: Call, data: list[Array]) -> Array:
    offset = int(data[1].ravel()[0]) if len(data) > 1 else 0
    return np.triu(data[0], offset) if call.attribute("upper", 1) else np.tril(data[0], offset)


def _scatter_rows(call: Call, data: list[Array]) -> Array | None:
    if call.attribute("reduction", b"none") != b"none":
        return None
    result = data[0].copy()
    result[tuple(np.moveaxis(data[1], -1, 0))] = data[2]
    return result


def _take_along(call: Call, data: list[Array]) -> Array:
    return np.take_along_axis(data[0], data[1], int(call.attribute("axis", 0)))


def _transpose(call: Call, data: list[Array]) -> Array:
    return np.transpose(data[0], call.attribute("perm"))


def _variadic(function: Callable[..., Any]) -> Evaluate:
    def evaluate(call: Call, data: list[Array]) -> Array | None:
        if not _broadcasts(data):
            return None
        result = data[0]
        for other in data[1:]:
            result = function(result, other)
        return np.asarray(result)

    return evaluate


def _modulo(call: Call, data: list[Array]) -> Array | None:
    function = np.fmod if call.attribute("fmod", 0) else np.mod
    return np.asarray(function(*data)) if _broadcasts(data) else None


def _concat(call: Call, data: list[Array]) -> Array | None:
    if sum(array.size for array in data) > TRACKED_VALUES:
        return None
    return np.concatenate(data, int(call.attribute("axis", 1)))


def _gather(call: Call, data: list[Array]) -> Array | None:
    source, indices = data
    axis = int(call.attribute("axis", 0))
    if source.size // max(source.shape[axis], 1) * indices.size > TRACKED_VALUES:
        return None
    return np.take(source, indices, axis)


def _unsqueeze(call: Call, data: list[Array]) -> Array:
    return np.expand_dims(data[0], _axes(call, data) or ())


_EVALUATE: dict[str, Evaluate] = {
    "Abs": _numpy(np.abs),
    "Add": _same_type(np.add),
    "And": _numpy(np.logical_and),
    "Cast": _cast,
    "CastLike": lambda call, data: data[0].astype(data[1].dtype),
    "Ceil": _numpy(np.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": lambda call, data: np.cumsum(data[0], int(data[1].ravel()[0])).astype(data[0].dtype),
    "Div": _divide,
    "Equal": _numpy(np.equal),
    "Expand": _expand,
    "Flatten": lambda call, data: data[0].reshape(math.prod(data[0].shape[: int(call.attribute("axis", 1))]), -1),
    "Floor": _numpy(np.floor),
    "Gather": _gather,
    "GatherElements": _take_along,
    "Greater": _numpy(np.greater),
    "GreaterOrEqual": _numpy(np.greater_equal),
    "Identity": lambda call, data: data[0],
    "Less": _numpy(np.less),
    "LessOrEqual": _numpy(np.less_equal),
    "Max": _variadic(np.maximum),
    "Min": _variadic(np.minimum),
    "Mod": _modulo,
    "Mul": _same_type(np.multiply),
    "Neg": _numpy(np.negative),
    "Not": _numpy(np.logical_not),
    "Or": _numpy(np.logical_or),
    "Pow": _same_type(np.power),
    "Range": _range,
    "Reciprocal": _numpy(np.reciprocal),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Round": _numpy(np.round),
    "ScatterND": _scatter_rows,
    "Sign": _numpy(np.sign),
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _same_type(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _same_type(np.subtract),
    "Sum": _variadic(np.add),
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
    "Where": _numpy(np.where),
    "Xor": _numpy(np.logical_xor),
}
