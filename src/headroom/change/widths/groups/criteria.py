"""The criteria by which a shrinking group chooses what it keeps, by name; adding one is a line here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from torch import nn

from headroom.change.widths.groups.group import WidthGroups
from headroom.change.widths.groups.importance import batch_norm_importance, l1_importance
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.taylor import taylor_importance
from headroom.errors import UsageError


class Criterion(Protocol):
    """Scores of positions by axis, larger is more. ``batches`` are ``(inputs, labels)``, for those that need data."""

    def __call__(
        self, module: nn.Module, groups: WidthGroups, batches: Iterable[Any] | None = None, /
    ) -> dict[Axis, np.ndarray]: ...


def _taylor(module: nn.Module, groups: WidthGroups, batches: Iterable[Any] | None = None, /) -> dict[Axis, np.ndarray]:
    if batches is None:
        raise UsageError("the criterion 'taylor' needs data: give it batches of (inputs, labels), or choose 'l1'")
    return taylor_importance(module, groups, batches)


CRITERIA: Mapping[str, Criterion] = {
    "l1": lambda module, groups, batches=None, /: l1_importance(module, groups),
    "batch-norm": lambda module, groups, batches=None, /: batch_norm_importance(module, groups),
    "taylor": _taylor,
}
