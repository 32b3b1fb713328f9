"""Put the old channels into the places that a network with other widths has for them, and fill the places left over."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _NormBase

from headroom.change.widths.groups.classes import Kind, Traced
from headroom.change.widths.groups.elastic import WidthError
from headroom.change.widths.groups.stored import Axis, Held

#: Which ``count`` channels of a kind to keep, ascending.
Choice = Callable[[Kind, int], np.ndarray]


class Growth(enum.Enum):
    """What new channels hold. The function stays the same with each of them."""

    #: Zeros on both sides: nothing is computed with them but zeros, and training does not reach them.
    ZERO = "zero"
    #: Copies of other channels, whose readers share the weight (Net2Net). The shares are unequal: with equal ones
    #: copies would have equal gradients for ever, and training could not tell them apart.
    DUPLICATE = "duplicate"
    #: Random producers whose readers start at zero: new features that training turns on.
    FRESH = "fresh"


@dataclass(frozen=True)
class Filling:
    """How a changed network is filled: ``seed`` decides the channels that are copied and the values that are drawn.

    ``rescale`` are keys of kinds whose attention divides scores by the root of a head's width: their queries are
    multiplied by the root of new over old width.
    """

    growth: Growth = Growth.ZERO
    seed: int = 0
    rescale: frozenset[Any] = frozenset()


#: New channels of zeros.
ZEROS = Filling()


@dataclass
class _Places:
    """For each position of an axis the old one that it takes, :data:`_NEW` for none, and by what it is scaled."""

    source: np.ndarray
    scale: np.ndarray = field(init=False)
    #: Whether new positions may hold random values: those that are read must not.
    drawn: bool = True

    def __post_init__(self) -> None:
        self.scale = np.ones(self.source.size)


_NEW = -1


def first_ones(kind: Kind, count: int) -> np.ndarray:
    """Keep the first channels."""
    return np.arange(count)


def fill(
    before: Traced,
    after: Traced,
    old: Mapping[str, Tensor],
    new: Mapping[str, Held],
    choose: Choice = first_ones,
    filling: Filling = ZEROS,
) -> None:
    """Write the values of ``old`` into ``new``, whose networks ``before`` and ``after`` are traces of.

    Raises:
        WidthError: the new network has kinds of channels that the old one has not, or lacks some.
    """
    places = _places(before, after, choose, filling)
    fresh = torch.Generator().manual_seed(filling.seed) if filling.growth is Growth.FRESH else None
    for name, held in new.items():
        values = old[name].detach()
        for axis in range(values.ndim):
            if (found := places.get(Axis(name, axis))) is not None:
                values = _along(values, axis, found, _neutral(held), fresh)
        if values.shape != held.tensor.shape:
            raise WidthError(f"{name} would be {tuple(values.shape)} and should be {tuple(held.tensor.shape)}")
        held.tensor.detach().copy_(values)


def _neutral(held: Held) -> float:
    """What a new element holds: normalisations leave a channel of zeros as it is when they scale by one."""
    owner, attribute = held.holders[0]
    return float(isinstance(owner, _NormBase) and attribute in ("weight", "running_var"))


def _along(values: Tensor, axis: int, places: _Places, neutral: float, fresh: torch.Generator | None) -> Tensor:
    source = torch.from_numpy(places.source)
    moved = values.index_select(axis, source.clamp(min=0).to(values.device))
    scale = torch.from_numpy(places.scale)
    if bool((scale != 1).any()):
        shape = [1] * values.ndim
        shape[axis] = -1
        moved = moved * scale.reshape(shape).to(moved)
    new = torch.nonzero(source == _NEW).reshape(-1).to(values.device)
    if not new.numel():
        return moved
    if fresh is not None and places.drawn and values.ndim > 1 and values.is_floating_point():
        shape = list(moved.shape)
        shape[axis] = new.numel()
        return moved.index_copy(axis, new, torch.randn(shape, generator=fresh).to(moved) * values.std())
    return moved.index_fill(axis, new, neutral)


def _places(before: Traced, after: Traced, choose: Choice, filling: Filling) -> dict[Axis, _Places]:
    """The places of every axis that channels lie along."""
    random = np.random.default_rng(filling.seed)
    _same_kinds(before, after)
    found = _unclaimed(before, after)
    for key, new in after.kinds.items():
        old = before.kinds[key]
        kept = choose(old, new.count) if new.count < old.count else np.arange(old.count)
        rows = np.concatenate([kept, np.full(new.count - kept.size, _NEW)])
        product = bool(before.queries[old.channels].any())
        if filling.growth is Growth.DUPLICATE and not product:
            rows[kept.size :] = _sources(old.count, new.count - kept.size, random)
        shares = _shares(rows, old.count, random)
        for (axis, positions), (_, taken) in zip(new.places(after.atoms), old.places(before.atoms), strict=True):
            found[axis].source[positions] = np.where(rows[:, None] == _NEW, _NEW, taken[np.maximum(rows, 0)])
            if axis in before.summed:
                found[axis].scale[positions] = shares[:, None]
                found[axis].drawn = False
            elif product:
                found[axis].drawn = False
                if key in filling.rescale:
                    asks = before.queries[taken[0] + before.atoms.of(axis)[0]]
                    found[axis].scale[positions[:, asks]] = math.sqrt(new.count / old.count)
    return found


def _same_kinds(before: Traced, after: Traced) -> None:
    if before.kinds.keys() != after.kinds.keys():
        strange = next(iter(before.kinds.keys() ^ after.kinds.keys()))
        kind = before.kinds.get(strange) or after.kinds[strange]
        raise WidthError(f"channels of {kind.layer} would go other ways through the network than before")


def _unclaimed(before: Traced, after: Traced) -> dict[Axis, _Places]:
    """The places of every axis before any kind has claimed its own: what no channel owns keeps its order."""
    free = [_free(traced) for traced in (before, after)]
    found = {}
    for axis, now in free[1].items():
        then = free[0][axis]
        if then.sum() != now.sum():
            raise WidthError(f"{axis.tensor} would read {now.sum()} values that are no channels, before {then.sum()}")
        source = np.full(now.size, _NEW)
        source[now] = np.flatnonzero(then)
        found[axis] = _Places(source)
    return found


def _free(traced: Traced) -> dict[Axis, np.ndarray]:
    """Which positions of each axis that channels lie along belong to none."""
    found: dict[Axis, np.ndarray] = {}
    for kind in traced.kinds.values():
        for axis, positions in kind.places(traced.atoms):
            found.setdefault(axis, np.ones(len(traced.atoms.of(axis)), dtype=bool))[positions] = False
    return found


def _shares(rows: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Which part of a reader's weight each channel keeps: those of a channel and of its copies add up to one."""
    copied = np.bincount(rows[rows != _NEW], minlength=count)[np.maximum(rows, 0)] > 1
    drawn = np.where(copied & (rows != _NEW), random.uniform(0.5, 1.5, rows.size), 1.0)
    totals = np.bincount(rows[rows != _NEW], drawn[rows != _NEW], minlength=count)
    return np.where(rows == _NEW, 1.0, drawn / np.maximum(totals[np.maximum(rows, 0)], 1e-30))


def _sources(count: int, wanted: int, random: np.random.Generator) -> np.ndarray:
    """Which channels to copy: each once before any is copied twice."""
    rounds: list[Any] = [random.permutation(count) for _ in range(-(-wanted // count))]
    return np.sort(np.concatenate(rounds)[:wanted]) if rounds else np.empty(0, dtype=np.int64)
