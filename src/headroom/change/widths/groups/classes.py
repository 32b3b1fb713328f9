"""What a trace amounts to: channels, and the kinds of channels that can stand in for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from headroom.change.widths.groups import operators
from headroom.change.widths.groups.operators.registry import rule_of
from headroom.change.widths.groups.run import tensors
from headroom.change.widths.groups.stored import Atoms, Axis, stored
from headroom.change.widths.groups.trace import ChannelTrace

assert operators


@dataclass(frozen=True)
class Kind:
    """Channels that touch the same axes and pass the same operators: any of them can stand in for any other.

    ``channels`` has one row per channel, in the order of their first atoms; ``spans`` says which columns of a row are
    the positions of which axis. ``key`` is the same for the same kind in another trace of the network.
    """

    key: tuple[Any, ...]
    spans: tuple[tuple[Axis, int], ...]
    channels: np.ndarray
    frozen: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.channels)

    @property
    def layer(self) -> str:
        """The first layer that the channels lie in, for a person."""
        axis = self.spans[0][0]
        return axis.layer or axis.tensor

    def positions(self, axis: Axis) -> int:
        """How many positions of ``axis`` one channel takes."""
        return dict(self.spans).get(axis, 0)

    def places(self, atoms: Atoms) -> Iterator[tuple[Axis, np.ndarray]]:
        """Each axis with the positions that the channels take on it, a row for each channel."""
        column = 0
        for axis, width in self.spans:
            yield axis, self.channels[:, column : column + width] - atoms.of(axis)[0]
            column += width


@dataclass(frozen=True)
class Traced:
    """One trace's kinds, and what the layers said of their axes."""

    atoms: Atoms
    kinds: Mapping[tuple[Any, ...], Kind]
    generators: tuple[Axis, ...]
    summed: frozenset[Axis]
    #: Atoms of queries: a product of two activations sums over their channels.
    queries: np.ndarray
    grouped: frozenset[str]
    cuts: tuple[np.ndarray, ...]
    output: Any


def trace(module: nn.Module, run: Callable[[], Any], even: frozenset[str] = frozenset()) -> Traced:
    """Run ``run``, which calls ``module``, and tell the kinds of channels it has.

    What the module returns has widths that its caller counts on; they are frozen.
    """
    watched = ChannelTrace(stored(module), rule_of, even)
    # Fused attention is a single operator; its plain form shows what happens inside.
    with sdpa_kernel(SDPBackend.MATH), _without_mkldnn(), watched:
        output = run()
    for each in tensors(output):
        if (labels := watched.labels(each)) is not None:
            watched.freeze(labels, "is what the network returns")
    return _summary(watched, output)


@contextmanager
def _without_mkldnn() -> Iterator[None]:
    """Within it an LSTM is the same operators in float32, as a network is given, as in float64, where it is proved.

    MKL-DNN has one operator for it, in float32 only: every channel behind it would seem to have come another way.
    """
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _summary(watched: ChannelTrace, output: Any) -> Traced:
    classes = watched.classes()
    reasons: dict[int, list[str]] = {}
    for atoms, reason in watched.frozen:
        for found in np.unique(classes[atoms.numpy()]).tolist():
            reasons.setdefault(found, []).append(reason)
    alike: dict[tuple[bytes, int], list[tuple[np.ndarray, tuple[str, ...]]]] = {}
    axes = watched.atoms.axes()
    axis_of = np.repeat(np.arange(len(axes)), [len(watched.atoms.of(axis)) for axis in axes])
    for found, members in _members(classes, watched.seen):
        # Both ascend, so that channels with the same bytes touch the same axes equally often.
        touched = axis_of[members].tobytes()
        why = tuple(dict.fromkeys(reasons.get(found, ())))
        alike.setdefault((touched, watched.trails.of(members)), []).append((members, why))
    kinds = (_kind(axes, axis_of, trail, found) for (_, trail), found in alike.items())
    return Traced(
        atoms=watched.atoms,
        kinds={kind.key: kind for kind in kinds},
        generators=tuple(watched.generators),
        summed=frozenset(watched.summed),
        queries=_queries(watched),
        grouped=frozenset(watched.grouped),
        cuts=tuple(watched.cuts),
        output=output,
    )


def _kind(
    axes: Sequence[Axis], axis_of: np.ndarray, trail: int, found: Sequence[tuple[np.ndarray, tuple[str, ...]]]
) -> Kind:
    """What channels are that touch the same axes and have the same trail, each given as its atoms and its reasons."""
    touched, counts = np.unique(axis_of[found[0][0]], return_counts=True)
    spans = tuple((axes[axis], int(count)) for axis, count in zip(touched, counts, strict=True))
    channels = np.stack([members for members, _ in found])
    return Kind((spans, trail), spans, channels, tuple(dict.fromkeys(reason for _, why in found for reason in why)))


def _queries(watched: ChannelTrace) -> np.ndarray:
    """Which atoms make the left operands of products of two activations: rows of a weight, and of its bias."""
    found = np.zeros(watched.atoms.count, dtype=bool)
    for atoms in watched.queries:
        found[atoms.numpy()] = True
    for axis in watched.atoms.axes():
        atoms_of = watched.atoms.of(axis)
        bias = Axis(f"{axis.layer}.bias", 0)
        if found[atoms_of].any() and watched.atoms.shapes.get(bias.tensor) == (len(atoms_of),):
            found[watched.atoms.of(bias)] |= found[atoms_of]
    return found


def _members(classes: np.ndarray, seen: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The atoms of each channel that anything passed through, in the order of their first atoms."""
    atoms = np.flatnonzero(seen)
    order = np.argsort(classes[atoms], kind="stable")
    atoms = atoms[order]
    starts = np.flatnonzero(np.diff(classes[atoms], prepend=-1))
    groups = [(int(classes[group[0]]), group) for group in np.split(atoms, starts[1:]) if group.size]
    return sorted(groups, key=lambda item: int(item[1][0]))
