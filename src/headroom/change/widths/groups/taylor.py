"""What the loss would change by if a channel went, to first order (Molchanov et al. 2019, "Importance Estimation")."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from headroom.change.widths.groups.group import WidthGroup, WidthGroups
from headroom.change.widths.groups.run import call, evaluating
from headroom.change.widths.groups.stored import Axis, Held, stored
from headroom.errors import UsageError


def taylor_importance(
    module: nn.Module,
    groups: WidthGroups,
    batches: Iterable[Any],
    loss: Callable[[Any, Tensor], Tensor] = functional.cross_entropy,
) -> dict[Axis, np.ndarray]:
    """The square of each channel's weights times their gradients, summed over batches.

    Where a channel passes BatchNorm its scale and offset stand for it, as in the paper: what they contribute is the
    whole of what goes on. Elsewhere the weights and the bias that make it do. Statistics of BatchNorm stay as they are.
    The module is not touched; a copy runs, where the module is.

    Args:
        batches: ``(inputs, labels)``; some thousand samples settle the order.

    Raises:
        UsageError: there is no batch.
    """
    watched = copy.deepcopy(module)
    tensors = stored(watched)
    for held in tensors.values():
        if held.tensor.is_floating_point() and isinstance(held.tensor, nn.Parameter):
            held.tensor.requires_grad_(True)
    speaking = {axis: _beside(axis, tensors) for group in groups.groups for axis in _speakers(group, tensors)}
    totals = {axis: np.zeros(tensors[axis.tensor].tensor.shape[axis.axis]) for axis in speaking}
    count = 0
    with evaluating(watched), torch.enable_grad():
        for inputs, labels in batches:
            watched.zero_grad(set_to_none=True)
            loss(call(watched, inputs), labels).backward()
            for axis, names in speaking.items():
                totals[axis] += sum(_change(axis, name, tensors) for name in names) ** 2
            count += 1
    if not count:
        raise UsageError("a first-order criterion needs data: give at least one batch of (inputs, labels)")
    return {axis: total / count for axis, total in totals.items()}


def _speakers(group: WidthGroup, tensors: dict[str, Held]) -> list[Axis]:
    """The axes that stand for the group's channels."""
    scales = [
        member.axis
        for member in group.members
        if isinstance(tensors[member.axis.tensor].holders[0][0], _NormBase)
        and tensors[member.axis.tensor].holders[0][1] == "weight"
    ]
    return scales or [axis for axis in group.steps if tensors[axis.tensor].holders[0][1] != "bias"]


def _beside(axis: Axis, tensors: dict[str, Held]) -> tuple[str, ...]:
    """The tensor and the bias of its layer: both make the channel where the axis is the one that the bias has."""
    bias = f"{axis.layer}.bias" if axis.layer else "bias"
    size = tensors[axis.tensor].tensor.shape[axis.axis]
    found = tensors.get(bias)
    both = found is not None and axis.axis == 0 and found.tensor.shape == (size,)
    return (axis.tensor, bias) if both and bias != axis.tensor else (axis.tensor,)


def _change(axis: Axis, name: str, tensors: dict[str, Held]) -> np.ndarray:
    """The sum of weight times gradient for each position; zero where nothing flows back."""
    tensor = tensors[name].tensor
    if tensor.grad is None:
        return np.zeros(tensor.shape[axis.axis if tensor.ndim > 1 else 0])
    product = (tensor.detach() * tensor.grad).double()
    along = axis.axis if name == axis.tensor else 0
    others = [each for each in range(product.ndim) if each != along]
    found: np.ndarray = (product.sum(others) if others else product).cpu().numpy()
    return found
