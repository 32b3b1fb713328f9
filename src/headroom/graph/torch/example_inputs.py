"""Example inputs as fake tensors: shapes and types without memory, at any batch size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headroom.errors import ModelError, UsageError


@dataclass(frozen=True)
class ExampleInputs:
    """Arguments for one call of a module. ``batch`` is the leading size of the first tensor, or 1."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    batch: int


def fake_inputs(example_inputs: Any, *, batch: int | None = None, on_meta: bool = False) -> ExampleInputs:
    """Describe ``example_inputs`` (a tensor, a sequence of arguments, or a dict of named ones) by fake tensors.

    With ``batch``, every tensor whose leading dimension is as long as the first tensor's gets that many
    samples instead. ``on_meta`` puts the tensors beside a module that lives on the meta device.

    Raises:
        ModelError: there is no tensor among the inputs.
        UsageError: ``batch`` is below 1 or the inputs have no leading dimension to set it in.
    """
    from torch.utils import _pytree as pytree

    args, kwargs = _arguments(example_inputs)
    leaves, layout = pytree.tree_flatten((args, kwargs))
    leading = _leading_size(leaves)
    if batch is not None:
        _check_batch(batch, leading)
    faked = _faked(leaves, leading, batch, on_meta)
    args, kwargs = pytree.tree_unflatten(faked, layout)
    return ExampleInputs(args, kwargs, batch or leading or 1)


def _arguments(example_inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    if isinstance(example_inputs, tuple | list):
        return tuple(example_inputs), {}
    return (example_inputs,), {}


def _leading_size(leaves: list[Any]) -> int | None:
    """Leading size of the first tensor that has a dimension; ``None`` where all are scalars."""
    import torch

    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if not tensors:
        found = ", ".join(sorted({type(leaf).__name__ for leaf in leaves})) or "nothing"
        raise ModelError(
            f"the example inputs hold no tensor ({found}); pass the tensors that the module is called with"
        )
    return next((tensor.shape[0] for tensor in tensors if tensor.dim()), None)


def _check_batch(batch: int, leading: int | None) -> None:
    if batch < 1:
        raise UsageError(f"a batch of {batch} is not possible; give a number from 1")
    if leading is None:
        raise UsageError("the example inputs are scalars and have no batch dimension to set; leave the batch out")


def _faked(leaves: list[Any], leading: int | None, batch: int | None, on_meta: bool) -> list[Any]:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    # Real parameters meet these inputs inside the export, which makes fakes of them in the same mode.
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        device = torch.device("meta") if on_meta else leaf.device
        shape, strides = list(leaf.shape), leaf.stride()
        if batch is not None and shape and shape[0] == leading:
            shape[0] = batch
            return torch.empty(shape, dtype=leaf.dtype, device=device)
        return torch.empty_strided(shape, strides, dtype=leaf.dtype, device=device)

    with mode:
        return [fake(leaf) for leaf in leaves]
