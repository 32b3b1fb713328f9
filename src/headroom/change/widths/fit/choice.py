"""What a goal is asked for, and what it answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from headroom.change.widths.fit.candidates import Bounds
from headroom.change.widths.fit.space import Space
from headroom.errors import UsageError


@dataclass(frozen=True)
class Asked:
    """What the user wants of a goal.

    ``saves`` is the share of the latency to save (one minus the delta of Algorithm 2), ``tolerance`` its tau: how many
    channels the network may gain or lose in all.

    Raises:
        UsageError: a share that is none, or a tolerance that allows nothing.
    """

    saves: float | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.saves is not None and not 0 < self.saves < 1:
            raise UsageError(f"a share of {self.saves:g} of the latency cannot be saved; give one between 0 and 1")
        if self.tolerance is not None and not 0 < self.tolerance < float("inf"):
            raise UsageError(f"a tolerance of {self.tolerance:g} channels allows nothing; give one above zero")


@dataclass(frozen=True)
class Choice:
    """Widths of groups, and the sentences that belong to them.

    ``rival_us`` is what the paper's algorithm comes to, ``parameters`` how many the network has before and after, where
    the goal counts them.
    """

    widths: Mapping[str, int]
    notes: tuple[str, ...] = ()
    rival_us: float | None = None
    parameters: tuple[int, int] | None = None


class Goal(Protocol):
    """Something to want of widths.

    ``lossless`` ones only add channels of zeros; ``fresh`` ones add channels to be trained, read with weight zero.
    """

    @property
    def name(self) -> str: ...

    @property
    def lossless(self) -> bool: ...

    @property
    def fresh(self) -> bool: ...

    @property
    def bounds(self) -> Bounds: ...

    def check(self, asked: Asked) -> None:
        """Look at what was asked before anything takes time.

        Raises:
            UsageError: it does not go with this goal.
        """

    def choose(self, space: Space, asked: Asked) -> Choice:
        """The widths.

        Raises:
            UsageError: no choice has times for all layers.
        """
