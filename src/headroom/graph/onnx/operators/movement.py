"""Data copied to another place or order, and the views that cost nothing."""

from __future__ import annotations

import math

from headroom.graph.onnx.call import Call
from headroom.graph.onnx.operators.registry import Describe, Family, Form, same
from headroom.graph.work import Embedding, Free, Movement, Work


def _free(call: Call) -> Work:
    return Free(call.operator.lower())


def _copy(call: Call) -> Work:
    """Every value read and written once."""
    return Movement(call.operator.lower(), _written(call))


def _part(call: Call) -> Work:
    """As many values read as are written, however large the source is."""
    return Movement(call.operator.lower(), _written(call), partial_read=True)


def _written(call: Call) -> int:
    return sum(spec.elements for spec in call.outputs if spec is not None)


def _unless_same_shape(describe: Describe) -> Describe:
    """A slice of everything, a pad of nothing, a resize to the same size: a view."""

    def choose(call: Call) -> Work:
        source = call.value(0)
        unchanged = source is not None and source.spec.form == call.out.form
        return _free(call) if unchanged else describe(call)

    return choose


def _transpose(call: Call) -> Work:
    """A copy, unless only dimensions of size 1 change places."""
    shape = call.shape(0)
    order = tuple(int(axis) for axis in call.attribute("perm", tuple(reversed(range(len(shape))))))
    moved = [axis for axis in order if shape[axis] != 1]
    return _free(call) if moved == sorted(moved) else Movement("transpose", _written(call), axes=order)


def _concat(call: Call) -> Work:
    used = [value for value in call.inputs if value is not None and value.spec.elements]
    return _free(call) if len(used) == 1 else _copy(call)


def _gather(call: Call) -> Work:
    """Rows of a weight table picked by computed indices are an embedding; anything else is a copy."""
    table, indices = call.inputs[0], call.inputs[1]
    assert table is not None
    assert indices is not None
    axis = int(call.attribute("axis", 0))
    if table.constant and not indices.constant and axis == 0 and len(table.shape) > 1:
        return Embedding(rows=indices.spec.elements, width=math.prod(table.shape[1:]))
    return _part(call)


def _resize(call: Call) -> Work:
    """Interpolation weighs 2 values per resized dimension (linear) or 4 (cubic); nearest only copies."""
    taps = {b"linear": 2, b"bilinear": 2, b"cubic": 4}.get(call.attribute("mode", b"nearest"), 1)
    resized = sum(a != b for a, b in zip(call.shape(0), call.out.shape, strict=True))
    flops = 0 if taps == 1 else 2 * taps**resized
    return Movement("resize", call.out.elements, flops_per_element=flops)


def _grid_sample(call: Call) -> Work:
    taps = 4 if b"cubic" in call.attribute("mode", b"linear") else 2
    flops = 0 if call.attribute("mode", b"linear") == b"nearest" else 2 * taps ** (len(call.out.shape) - 2)
    return Movement("gridsample", call.out.elements, flops_per_element=flops)


def _embed_normalised(call: Call) -> Work:
    """EmbedLayerNormalization: word, position and perhaps segment rows, summed and normalised."""
    tables = 2 + call.has(1)
    return Embedding(rows=tables * math.prod(call.shape(0)), width=call.shape(2)[-1])


def _embed_normalised_shape(call: Call) -> tuple[Form, ...]:
    table = call.value(2)
    ids = call.shape(0)
    assert table is not None
    rows = (*ids, table.shape[-1])
    return ((rows, table.spec.element), (ids[:1], "int32"), (rows, table.spec.element))


def _scatter(call: Call) -> Work:
    """The target is copied, then the updates land in it."""
    updates = call.value(2)
    return Movement(call.operator.lower(), call.out.elements + (updates.spec.elements if updates else 0))


def _dropout(call: Call) -> Work:
    """Nothing at inference; a random mask and a product in training."""
    training = call.value(2)
    if training is not None and training.data is not None and bool(training.data.ravel()[:1].any()):
        return Movement("dropout", call.out.elements, flops_per_element=12)
    return _free(call)


def _dropout_shape(call: Call) -> tuple[Form, ...]:
    """The result and the mask; the library's inference leaves the mask of old opsets without a shape."""
    source = call.value(0)
    assert source is not None
    return ((source.shape, source.spec.element), (source.shape, "bool"))


_VIEWS = ("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Optional", "OptionalGetElement", "BitCast")

FAMILY = Family(
    describe={
        **same(_VIEWS, _free),
        **same(
            ("EyeLike", "ReverseSequence", "Trilu", "OneHot", "Range", "ConstantOfShape", "Col2Im", "Constant",
             "DepthToSpace", "SpaceToDepth", "MaxUnpool", "Compress", "NonZero", "Unique", "Shape", "Size"),
            _copy,
        ),
        **same(("Cast", "CastLike", "Expand", "Tile", "Pad", "CenterCropPad"), _unless_same_shape(_copy)),
        **same(("Slice", "Split"), _unless_same_shape(_part)),
        **same(("GatherElements", "GatherND"), _part),
        **same(("Scatter", "ScatterElements", "ScatterND", "TensorScatter"), _scatter),
        **same(("Resize", "Upsample"), _unless_same_shape(_resize)),
        "Concat": _concat,
        "com.microsoft::EmbedLayerNormalization": _embed_normalised,
        "Dropout": _dropout,
        "Gather": _gather,
        "GridSample": _grid_sample,
        "Transpose": _transpose,
    },
    shapes={
        "Dropout": _dropout_shape,
        "com.microsoft::EmbedLayerNormalization": _embed_normalised_shape,
    },
    settings={
        "CenterCropPad": (1,), "Col2Im": (1, 2), "ConstantOfShape": (0,), "Dropout": (1, 2), "Expand": (1,),
        "OneHot": (1, 2), "Pad": (1, 2, 3), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3),
        "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Tile": (1,), "Trilu": (1,), "Unsqueeze": (1,),
        "Upsample": (1,), "AffineGrid": (1,),
    },
)  # fmt: skip
