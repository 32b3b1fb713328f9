"""The library's front door for models: :func:`load` one. Nothing that answers questions about it is imported here."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping

from headroom.errors import UsageError
from headroom.graph.graph import Graph
from headroom.graph.torch.callable import is_callable_address, load_callable

_STATIC = "--dim names symbolic dimensions of an ONNX file; a PyTorch model has static inputs"


def load(
    model: object,
    example_inputs: object = None,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
) -> Graph:
    """Read a model: the path of an ``.onnx`` file, ``"package.module:callable"``, or a module with its inputs.

    Args:
        model: a path, a callable's address, or a ``torch.nn.Module``.
        example_inputs: a tensor or tuple of tensors; only for a module.
        batch: samples per run; the model's own where not given.
        dims: values for the symbolic dimensions of an ONNX model.

    Raises:
        ModelError: the model cannot be read; the sentence names the node and what to do.
        UsageError: the arguments do not go together.
    """
    batch = None if batch is None else _whole("batch", batch)
    dims = {name: _whole(f"dims[{name!r}]", size) for name, size in (dims or {}).items()}
    if not isinstance(model, (str, os.PathLike)):
        from headroom.graph.torch.reader import read_module

        if example_inputs is None:
            raise UsageError("a module needs example inputs: load(module, example_inputs)")
        if dims:
            raise UsageError(_STATIC)
        return read_module(model, example_inputs, batch=batch)
    if example_inputs is not None:
        raise UsageError("example inputs go with a module, not with a path")
    if is_callable_address(os.fspath(model)):
        from headroom.graph.torch.reader import read_module

        if dims:
            raise UsageError(_STATIC)
        module, inputs = load_callable(os.fspath(model))
        return read_module(module, inputs, batch=batch, name=os.fspath(model))
    from headroom.graph.onnx.client import read_onnx

    return read_onnx(model, batch=batch, dims=dims)


def _whole(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{name} is {value!r}; expected a whole number") from None
