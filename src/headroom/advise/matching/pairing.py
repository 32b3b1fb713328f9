"""Which units ran which layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headroom.advise.matching.align import Table, align, table
from headroom.advise.matching.layers import Atom
from headroom.advise.matching.score import SAME, absorbs, missed_layer, missed_unit, score
from headroom.advise.matching.units import Unit


@dataclass(frozen=True)
class Pairing:
    """Atoms and units laid beside each other. ``pairs`` index both; a unit may stand in several."""

    atoms: tuple[Atom, ...]
    units: tuple[Unit, ...]
    pairs: tuple[tuple[int, int], ...]
    scores: Table

    @property
    def layers_of(self) -> Mapping[int, Sequence[int]]:
        """Per unit the layers that it ran, in order."""
        found: dict[int, list[int]] = defaultdict(list)
        for atom, unit in self.pairs:
            layer = self.atoms[atom].layer
            if layer not in found[unit]:
                found[unit].append(layer)
        return {unit: sorted(layers) for unit, layers in found.items()}


def pair(atoms: Sequence[Atom], units: Sequence[Unit]) -> Pairing:
    """The pairing that keeps the order of both, and then what is left over and fits exactly.

    Branches that do not depend on each other may run in another order than the graph's.
    """
    scores = table(atoms, units, score, _atom_key, _unit_key)
    joined = table(atoms, units, absorbs, _atom_key, _unit_key)
    row_cost = np.array([missed_layer(atom) for atom in atoms])
    column_cost = np.array([missed_unit(unit) for unit in units])
    pairs = align(scores, joined, row_cost, column_cost) if atoms and units else []
    return Pairing(
        tuple(atoms), tuple(units), tuple(sorted([*pairs, *_left_over(atoms, units, pairs, scores)])), scores
    )


def _left_over(
    atoms: Sequence[Atom], units: Sequence[Unit], pairs: Sequence[tuple[int, int]], scores: Table
) -> list[tuple[int, int]]:
    """Units without a layer, each with the nearest layer without a unit that has its very dimensions."""
    placed = {unit: atom for atom, unit in pairs}
    free = sorted(set(range(len(atoms))) - {atom for atom, _ in pairs})
    found: list[tuple[int, int]] = []
    near = 0
    for unit in range(len(units)):
        near = placed.get(unit, near)
        if unit in placed or units[unit].bare:
            continue
        fitting = [atom for atom in free if scores[atom, unit] >= SAME and not atoms[atom].piece]
        if fitting:
            chosen = min(fitting, key=lambda atom: (-scores[atom, unit], abs(atom - near)))
            free.remove(chosen)
            found.append((chosen, unit))
    return found


def _atom_key(atom: Atom) -> object:
    return atom.signature, atom.piece


def _unit_key(unit: Unit) -> object:
    return unit.signature
