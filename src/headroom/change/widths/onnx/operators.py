"""ONNX operators without weights of their own, by PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from headroom.errors import ModelError

Operands = Sequence[Any]
Attributes = Mapping[str, Any]
Operator = Callable[[Operands, Attributes], Any]


def run(node: onnx.NodeProto, attributes: Attributes, operands: Operands) -> Any:
    """The results of one node.

    Raises:
        ModelError: an operator that is not known here.
    """
    operator = _OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if operator is None:
        raise ModelError(f"{node.name or node.output[0]} is a {node.op_type}, which cannot be widened around yet")
    # What a Split is to make is written nowhere but in how many names it gives.
    return operator(
        operands, {"num_outputs": len(node.output), **attributes} if node.op_type == "Split" else attributes
    )


def _whole(value: Any) -> list[int]:
    return [int(each) for each in (value.tolist() if isinstance(value, Tensor) else value)]


def _reshape(operands: Operands, attributes: Attributes) -> Tensor:
    source, shape = operands[0], _whole(operands[1])
    if not attributes.get("allowzero", 0):
        shape = [source.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return source.reshape(shape)


def _axes(operands: Operands, attributes: Attributes, position: int = 1) -> list[int] | None:
    if len(operands) > position and operands[position] is not None:
        return _whole(operands[position])
    given = attributes.get("axes")
    return None if given is None else _whole(given)


def _squeeze(operands: Operands, attributes: Attributes) -> Tensor:
    axes = _axes(operands, attributes)
    return operands[0].squeeze() if axes is None else operands[0].squeeze(axes)


def _unsqueeze(operands: Operands, attributes: Attributes) -> Tensor:
    found = operands[0]
    for axis in sorted(_axes(operands, attributes) or []):
        found = found.unsqueeze(axis)
    return found


def _mean(operands: Operands, attributes: Attributes) -> Tensor:
    axes = _axes(operands, attributes)
    if not axes and attributes.get("noop_with_empty_axes", 0):
        return operands[0]
    keep = bool(attributes.get("keepdims", 1))
    return operands[0].mean(axes if axes is not None else list(range(operands[0].ndim)), keepdim=keep)


def _flatten(operands: Operands, attributes: Attributes) -> Tensor:
    axis = attributes.get("axis", 1)
    source = operands[0]
    return source.reshape(int(np.prod(source.shape[:axis], dtype=np.int64)), -1)


def _pooling(kind: str) -> Operator:
    def pool(operands: Operands, attributes: Attributes) -> Tensor:
        kernel = attributes["kernel_shape"]
        rank = len(kernel)
        pads = attributes.get("pads", [0] * 2 * rank)
        if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or pads[:rank] != pads[rank:]:
            raise ModelError("a pooling pads its sides differently, put a Pad node before it")
        common: dict[str, Any] = {"stride": attributes.get("strides", [1] * rank), "padding": pads[:rank]}
        common["ceil_mode"] = bool(attributes.get("ceil_mode", 0))
        if kind == "max":
            return getattr(functional, f"max_pool{rank}d")(
                operands[0], kernel, dilation=attributes.get("dilations", 1), **common
            )
        common["count_include_pad"] = bool(attributes.get("count_include_pad", 0))
        return getattr(functional, f"avg_pool{rank}d")(operands[0], kernel, **common)

    return pool


def _pad(operands: Operands, attributes: Attributes) -> Tensor:
    if attributes.get("mode", "constant") != "constant":
        raise ModelError("a Pad repeats values, which cannot be widened around yet")
    if len(operands) > 3 and operands[3] is not None:
        raise ModelError("a Pad names its axes, write pads for all of them")
    pads = _whole(operands[1]) if len(operands) > 1 else attributes["pads"]
    value = float(operands[2]) if len(operands) > 2 and operands[2] is not None else 0.0
    rank = len(pads) // 2
    turned = [size for axis in reversed(range(rank)) for size in (pads[axis], pads[axis + rank])]
    return functional.pad(operands[0], turned, value=value)


def _slice(operands: Operands, attributes: Attributes) -> Tensor:
    found = operands[0]
    if len(operands) == 1:
        # Before opset 10 they were attributes.
        operands = [found, *(attributes.get(key) for key in ("starts", "ends", "axes"))]
    starts, ends = _whole(operands[1]), _whole(operands[2])
    axes = _whole(operands[3]) if len(operands) > 3 and operands[3] is not None else list(range(len(starts)))
    steps = _whole(operands[4]) if len(operands) > 4 and operands[4] is not None else [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places = range(found.shape[axis])[start:end:step]
        found = found.index_select(axis, torch.tensor(list(places), dtype=torch.int64))
    return found


def _split(operands: Operands, attributes: Attributes) -> Any:
    axis = attributes.get("axis", 0)
    if len(operands) > 1 and operands[1] is not None:
        return operands[0].split(_whole(operands[1]), axis)
    if "split" in attributes:
        return operands[0].split(_whole(attributes["split"]), axis)
    return operands[0].chunk(attributes["num_outputs"], axis)


def _constant(operands: Operands, attributes: Attributes) -> Tensor:
    for key in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        if key in attributes:
            return torch.from_numpy(np.array(attributes[key]))
    raise ModelError("a Constant holds no number")


def _gather(operands: Operands, attributes: Attributes) -> Tensor:
    source, index, axis = operands[0], operands[1], attributes.get("axis", 0)
    index = torch.where(index < 0, index + source.shape[axis], index)
    found = source.index_select(axis, index.reshape(-1))
    axis %= source.ndim
    return found.reshape(*source.shape[:axis], *index.shape, *source.shape[axis + 1 :])


def _clip(operands: Operands, attributes: Attributes) -> Tensor:
    low = operands[1] if len(operands) > 1 else attributes.get("min")
    high = operands[2] if len(operands) > 2 else attributes.get("max")
    return operands[0].clamp(None if low is None else float(low), None if high is None else float(high))


_TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}

_OPERATORS: Mapping[str, Operator] = {
    "Add": lambda x, a: x[0] + x[1],
    "Sub": lambda x, a: x[0] - x[1],
    "Mul": lambda x, a: x[0] * x[1],
    "Div": lambda x, a: x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="trunc"),
    "Relu": lambda x, a: functional.relu(x[0]),
    "LeakyRelu": lambda x, a: functional.leaky_relu(x[0], a.get("alpha", 0.01)),
    "Clip": _clip,
    "Sigmoid": lambda x, a: torch.sigmoid(x[0]),
    "HardSigmoid": lambda x, a: (a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda x, a: functional.hardswish(x[0]),
    "Tanh": lambda x, a: torch.tanh(x[0]),
    "Erf": lambda x, a: torch.erf(x[0]),
    "Gelu": lambda x, a: functional.gelu(x[0], approximate=a.get("approximate", "none")),
    "Sqrt": lambda x, a: torch.sqrt(x[0]),
    "Pow": lambda x, a: torch.pow(x[0], x[1]),
    "Softmax": lambda x, a: torch.softmax(x[0], a.get("axis", -1)),
    "MatMul": lambda x, a: x[0] @ x[1],
    "Identity": lambda x, a: x[0],
    "Dropout": lambda x, a: x[0],
    "Cast": lambda x, a: x[0].to(_TYPES[a["to"]]),
    "Constant": _constant,
    "Shape": lambda x, a: torch.tensor(x[0].shape[a.get("start", 0) : a.get("end")]),
    "Gather": _gather,
    "Concat": lambda x, a: torch.cat(list(x), a["axis"]),
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": lambda x, a: x[0].permute(a.get("perm", tuple(reversed(range(x[0].ndim))))),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Split": _split,
    "Pad": _pad,
    "MaxPool": _pooling("max"),
    "AveragePool": _pooling("average"),
    "GlobalAveragePool": lambda x, a: x[0].mean(tuple(range(2, x[0].ndim)), keepdim=True),
    "GlobalMaxPool": lambda x, a: x[0].amax(tuple(range(2, x[0].ndim)), keepdim=True),
    "InstanceNormalization": lambda x, a: functional.instance_norm(
        x[0], weight=x[1].to(x[0]), bias=x[2].to(x[0]), eps=a.get("epsilon", 1e-5)
    ),
    "ReduceMean": _mean,
    "LayerNormalization": lambda x, a: functional.layer_norm(
        x[0], x[0].shape[a.get("axis", -1) % x[0].ndim :], x[1], x[2] if len(x) > 2 else None, a.get("epsilon", 1e-5)
    ),
}
