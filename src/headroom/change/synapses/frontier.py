"""Thresholds per layer composed into networks, and the Pareto front over them (section 4.1.3 of the DeftNN paper).

Every <layer, threshold> is tuned by itself, so any combination is a network. Times and losses of a combination are
taken as the sums of its layers': exact for times of layers that run one after the other, an assumption for losses, so
whoever picks a point measures its loss before using it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headroom.change.synapses.vectors import Floats, Indices
from headroom.errors import UsageError

#: Points per layer's merge above which near ones are left out, unless told otherwise.
_POINTS = 4096
#: By how much a sum may pass a bound because it was rounded.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Option:
    """One way to run a layer.

    Attributes:
        alpha: its threshold; ``None`` for the dense layer.
        retained: how many synapse vectors stay.
        time_us: what the layer then takes.
        loss_points: accuracy that the network loses by it, in percentage points, with all other layers dense.
    """

    alpha: float | None
    retained: int
    time_us: float
    loss_points: float


@dataclass(frozen=True)
class LayerOptions:
    """A layer's options; one of them is the dense layer, so that the plan is never slower than that."""

    layer: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        if sum(option.alpha is None for option in self.options) != 1:
            raise UsageError(f"{self.layer} needs exactly one option without a threshold, the dense layer")
        for option in self.options:
            if not (np.isfinite(option.loss_points) and 0 < option.time_us < np.inf):
                raise UsageError(f"{self.layer} at {option.alpha} has no positive time and finite loss; measure both")

    @property
    def dense(self) -> Option:
        return next(option for option in self.options if option.alpha is None)


@dataclass(frozen=True)
class Composition:
    """One option per layer, and what the network then takes and loses."""

    choices: tuple[tuple[str, Option], ...]
    time_us: float
    loss_points: float


class Front:
    """The compositions that no other one beats in both time and loss.

    Args:
        layers: what each layer can be.
        points: the most that are kept after each layer. Above it, time is cut into so many equal parts and the least
            loss of each is kept: every composition left out has one in the front that loses no more and is slower by
            at most one part per layer.
    """

    def __init__(self, layers: Sequence[LayerOptions], *, points: int = _POINTS) -> None:
        if not layers:
            raise UsageError("a front needs at least one layer; give a table of options for each that may change")
        self._layers = tuple(layers)
        self.dense_us = sum(layer.dense.time_us for layer in layers)
        self._trail: list[tuple[Indices, Indices]] = []
        time, loss = np.zeros(1), np.zeros(1)
        for layer in layers:
            times = np.array([option.time_us for option in layer.options])
            losses = np.array([option.loss_points for option in layer.options])
            merged, lost = np.add.outer(time, times).ravel(), np.add.outer(loss, losses).ravel()
            kept = _thinned(merged, _undominated(merged, lost), points)
            self._trail.append((kept // len(times), kept % len(times)))
            time, loss = merged[kept], lost[kept]
        self.times_us: Floats = time
        self.losses_points: Floats = loss

    def __len__(self) -> int:
        return len(self.times_us)

    def at(self, index: int) -> Composition:
        """One point: the fastest is 0."""
        found, place = [], range(len(self))[index]
        for layer, (before, option) in zip(reversed(self._layers), reversed(self._trail), strict=True):
            found.append((layer.layer, layer.options[int(option[place])]))
            place = int(before[place])
        return Composition(tuple(reversed(found)), float(self.times_us[index]), float(self.losses_points[index]))

    @cached_property
    def _ascending_times(self) -> list[float]:
        return [float(each) for each in self.times_us]

    @cached_property
    def _ascending_gains(self) -> list[float]:
        return [-float(each) for each in self.losses_points]

    def for_speedup(self, speedup: float) -> Composition:
        """The least loss among those at least so many times as fast as the dense network.

        Raises:
            UsageError: none is so fast.
        """
        fastest = self.dense_us / self._ascending_times[0]
        index = bisect_right(self._ascending_times, self.dense_us / speedup * (1 + _ROUNDING)) - 1
        if index < 0:
            raise UsageError(f"no combination is {speedup:g} times as fast; the fastest reaches {fastest:.3g}")
        return self.at(index)

    def for_loss(self, max_loss_points: float) -> Composition:
        """The fastest among those that lose no more.

        Raises:
            UsageError: every one loses more.
        """
        index = bisect_left(self._ascending_gains, -max_loss_points - _ROUNDING)
        if index == len(self):
            least = -self._ascending_gains[-1]
            raise UsageError(f"every combination loses more than {max_loss_points:g} points; the least is {least:.3g}")
        return self.at(index)


def _undominated(times: Floats, losses: Floats) -> Indices:
    """Indices of the Pareto front, by ascending time and strictly descending loss."""
    order: Indices = np.lexsort((losses, times))
    least = np.minimum.accumulate(losses[order])
    better = np.concatenate([[True], losses[order][1:] < least[:-1]])
    front: Indices = order[better]
    return front


def _thinned(times: Floats, front: Indices, points: int) -> Indices:
    if len(front) <= points:
        return front
    start, stop = times[front[0]], times[front[-1]]
    part = np.minimum(((times[front] - start) / (stop - start) * points).astype(np.intp), points - 1)
    # Loss falls along the front, so the last of each part loses least.
    return front[np.flatnonzero(np.diff(part, append=points))]
