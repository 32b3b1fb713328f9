"""Which format for which layer: the least time, or memory, whose errors together stay within a budget.

Relative errors of layers are taken to be independent, so that their squares add up at the network's outputs. That is an
assumption, which real outputs then test (:mod:`headroom.change.fission.pack`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Parts that the squared budget is divided into. Errors are rounded up to whole parts: no choice exceeds the budget.
_PARTS = 2000


@dataclass(frozen=True, slots=True)
class Option:
    """One layer in one format.

    Attributes:
        form: the format's name.
        bytes: of the packed weight.
        output_error: of the layer's outputs on the calibration data, relative root mean square.
        time_us: what the layer would take; ``None`` where no packed kernel runs it, so that it keeps its time.
    """

    form: str
    bytes: int
    output_error: float
    time_us: float | None = None


def choose(options: Mapping[str, Sequence[tuple[Option, float]]], budget: float) -> dict[str, Option]:
    """The options with the largest total gain whose errors' root of squares is within ``budget``.

    Args:
        options: per layer, each option with what it gains; those that gain nothing are never taken.
        budget: of the relative error; 0 takes only what has none.

    Returns:
        The chosen option of every layer that is packed.
    """
    best = np.zeros(_PARTS + 1)
    taken: list[tuple[str, list[Option | None]]] = []
    for name, found in options.items():
        improved = best.copy()
        picks: list[Option | None] = [None] * (_PARTS + 1)
        for option, gain in found:
            parts = _parts(option.output_error, budget)
            if gain <= 0 or parts > _PARTS:
                continue
            reached = np.full(_PARTS + 1, -np.inf)
            reached[parts:] = best[: _PARTS + 1 - parts] + gain
            better = reached > improved
            improved[better] = reached[better]
            for place in np.flatnonzero(better):
                picks[place] = option
        best = improved
        taken.append((name, picks))
    return _traced(taken, budget)


def _traced(taken: list[tuple[str, list[Option | None]]], budget: float) -> dict[str, Option]:
    chosen: dict[str, Option] = {}
    left = _PARTS
    for name, picks in reversed(taken):
        option = picks[left]
        if option is not None:
            chosen[name] = option
            left -= _parts(option.output_error, budget)
    return dict(reversed(chosen.items()))


def _parts(error: float, budget: float) -> int:
    """The squared error in parts of the squared budget, rounded up."""
    if error == 0:
        return 0
    return int(min(_PARTS + 1, np.ceil(_PARTS * (error / budget) ** 2))) if budget > 0 else _PARTS + 1


def together(chosen: Mapping[str, Option]) -> float:
    """The error of all choices at once, by the assumption."""
    return float(np.sqrt(sum(option.output_error**2 for option in chosen.values())))
