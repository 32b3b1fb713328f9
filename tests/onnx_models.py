"""Small ONNX models for tests: built node by node, or exported from PyTorch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]

_OPSET = 21


def node(operator: str, inputs: str, outputs: str = "y", name: str = "", domain: str = "", **attributes: Any) -> Any:
    """A node; operand names are separated by spaces, ``-`` leaves an optional one out."""
    return helper.make_node(
        operator,
        ["" if word == "-" else word for word in inputs.split()],
        outputs.split(),
        name=name or f"{operator.lower()}_{outputs.split()[0]}",
        domain=domain,
        **attributes,
    )


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Shape | tuple[Shape, int]],
    outputs: str = "y",
    *,
    weights: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, Any] | None = None,
    opset: int = _OPSET,
    functions: Sequence[Any] = (),
    declared: Mapping[str, Shape] | None = None,
) -> onnx.ModelProto:
    """A model; ``weights`` have shapes only, ``constants`` have contents.

    An input is a shape, or a shape with an element type.
    """
    return helper.make_model(
        helper.make_graph(
            list(nodes),
            "test",
            [_value(name, *_typed(form)) for name, form in inputs.items()],
            [_value(name, None, TensorProto.FLOAT) for name in outputs.split()],
            [
                *(_hollow(name, shape) for name, shape in (weights or {}).items()),
                *(numpy_helper.from_array(np.asarray(v), name) for name, v in (constants or {}).items()),
            ],
            value_info=[_value(name, shape, TensorProto.FLOAT) for name, shape in (declared or {}).items()],
        ),
        functions=list(functions),
        opset_imports=[
            helper.make_opsetid("", opset),
            helper.make_opsetid("com.microsoft", 1),
            helper.make_opsetid("local", 1),
        ],
    )


def export(module: Any, *example: Any, **options: Any) -> onnx.ModelProto:
    """Export a PyTorch module with the older exporter, which needs no extra package."""
    import torch

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), example, buffer, dynamo=False, **options)
    return onnx.load_from_string(buffer.getvalue())


def _typed(form: Any) -> tuple[Shape | None, int]:
    if isinstance(form, tuple) and len(form) == 2 and not isinstance(form[0], int | str):
        return form[0], form[1]
    return form, TensorProto.FLOAT


def _value(name: str, shape: Shape | None, element: int) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def _hollow(name: str, shape: Sequence[int]) -> TensorProto:
    """A weight without contents, as the reader sees it."""
    return TensorProto(name=name, dims=list(shape), data_type=TensorProto.FLOAT)
