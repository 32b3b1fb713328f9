"""How much a channel matters, by criteria that the pruning literature uses; larger is more."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from headroom.change.widths.groups.group import WidthGroups
from headroom.change.widths.groups.stored import Axis, stored


def l1_importance(module: nn.Module, groups: WidthGroups) -> dict[Axis, np.ndarray]:
    """The sum of absolute weights that make a channel (Li et al. 2016), over every layer that makes it.

    Layers are scaled to a mean of one first, so that in a group of several none speaks for all.
    """
    tensors = stored(module)
    found = {}
    for axis in _made(groups):
        if not tensors[axis.tensor].tensor.is_floating_point():
            continue
        weights = tensors[axis.tensor].tensor.detach().abs().double().cpu()
        others = [each for each in range(weights.ndim) if each != axis.axis]
        total = (weights.sum(others) if others else weights).numpy()
        found[axis] = total / total.mean() if total.any() else total
    return found


def batch_norm_importance(module: nn.Module, groups: WidthGroups) -> dict[Axis, np.ndarray]:
    """The absolute scale that BatchNorm gives a channel (Liu et al. 2017)."""
    found = {}
    scales = {
        Axis(name, 0)
        for name, held in stored(module).items()
        if isinstance(held.holders[0][0], _NormBase) and held.holders[0][1] == "weight"
    }
    for axis in {member.axis for group in groups.groups for member in group.members} & scales:
        found[axis] = stored(module)[axis.tensor].tensor.detach().abs().double().cpu().numpy()
    return found


def _made(groups: WidthGroups) -> Iterable[Axis]:
    """The axes whose layers make channels."""
    return dict.fromkeys(axis for group in groups.groups for axis in group.steps)
