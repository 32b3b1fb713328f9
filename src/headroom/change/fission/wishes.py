"""What the user allows a packed network to lose, and what packing is for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headroom.change.fission.formats import format_called
from headroom.change.fission.plan import Goal
from headroom.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

#: Formats that are looked at unless others are named: those that pay on today's GPUs, one of each size and kind.
USUAL = ("deft16q", "int8", "fp8_e4m3", "deft8e3", "int4_g128", "int4_g32")


@dataclass(frozen=True)
class Wishes:
    """What the user allows.

    Attributes:
        budget: relative error of the network's outputs, root mean square.
        goal: what is made small.
        forms: formats to look at.
        metric: says how good a network is, larger being better; ``None`` without one.
        max_loss: how much of the metric may go.
    """

    budget: float = 0.02
    goal: Goal = Goal.TIME
    forms: tuple[str, ...] = USUAL
    metric: Callable[[nn.Module], Any] | None = None
    max_loss: float | None = None

    def __post_init__(self) -> None:
        if not self.forms:
            raise UsageError("there is no format to look at; name some, such as int8")
        for name in self.forms:
            format_called(name)
        if not 0 <= self.budget < 1:
            raise UsageError(
                f"an output error of {self.budget} is no budget; expected a share from 0 to 1, such as 0.02"
            )
        if (self.metric is None) != (self.max_loss is None):
            raise UsageError("a metric and how much of it may be lost go together: give both or neither")
        if self.max_loss is not None and not 0 <= self.max_loss < math.inf:
            raise UsageError(f"a metric cannot lose {self.max_loss}; expected 0 or more")
