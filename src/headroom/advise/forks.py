"""How a region of layers divides around one fork and one join: what may run side by side, and what may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from headroom.graph.graph import Graph


@dataclass(frozen=True)
class Fork:
    """Layers (indices, in order): the ``stem`` before the fork, the ``branches``, and the ``tail`` after the join.

    No layer of a branch reads, directly or through others, what another branch makes.
    """

    stem: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]
    tail: tuple[int, ...]


def fork_of(graph: Graph, layers: Sequence[int]) -> Fork:
    """``layers`` (indices, in order) around their first fork; what forks again inside a branch stays in that branch."""
    before = _reads(graph, layers)
    stem = _stem(layers, before)
    branches: list[list[int]] = []
    branch_of: dict[int, int] = {}
    tail: list[int] = []
    for layer in layers[len(stem) :]:
        read = before[layer].difference(stem)
        reached = {branch_of.get(earlier) for earlier in read}
        if None in reached or len(reached) > 1:
            # It reads two branches together, or what does: it has to wait for the join.
            tail.append(layer)
            continue
        branch = reached.pop() if reached else None
        if branch is None:
            branch = len(branches)
            branches.append([])
        branches[branch].append(layer)
        branch_of[layer] = branch
    return Fork(stem, tuple(map(tuple, branches)), tuple(tail))


def _stem(layers: Sequence[int], before: dict[int, set[int]]) -> tuple[int, ...]:
    """The first layers, as long as every later one waits for them."""
    place_of = {layer: place for place, layer in enumerate(layers)}
    may_start = [1 + max((place_of[earlier] for earlier in before[layer]), default=-1) for layer in layers]
    # Per place, the earliest that any later layer may start.
    earliest = list(accumulate(reversed(may_start), min))[::-1][1:]
    ended = (place for place, start in enumerate(earliest) if start <= place)
    return tuple(layers[: next(ended, len(layers))])


def _reads(graph: Graph, layers: Sequence[int]) -> dict[int, set[int]]:
    """The layers among ``layers`` whose results each reads, through whatever lies between: views, work without time."""
    inside, first = set(layers), min(layers, default=0)
    return {layer: _read_by(graph, layer, inside, first) for layer in layers}


def _read_by(graph: Graph, layer: int, inside: set[int], first: int) -> set[int]:
    found: set[int] = set()
    seen: set[int] = set()
    waiting = list(graph.predecessors[layer])
    while waiting:
        earlier = waiting.pop()
        if earlier < first or earlier in seen:
            continue
        seen.add(earlier)
        if earlier in inside:
            found.add(earlier)
        else:
            waiting += graph.predecessors[earlier]
    return found
