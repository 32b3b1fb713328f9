"""Which units ran which layers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from headroom.advise.matching.align import Table, align, table
from headroom.advise.matching.layers import Atom
from headroom.advise.matching.score import SAME, SAME_NAME, absorbs, missed_layer, missed_unit, score
from headroom.advise.matching.signature import Family
from headroom.advise.matching.units import Unit

_Pairs = list[tuple[int, int]]


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
        found: dict[int, set[int]] = defaultdict(set)
        for atom, unit in self.pairs:
            found[unit].add(self.atoms[atom].layer)
        return {unit: sorted(layers) for unit, layers in found.items()}


def pair(atoms: Sequence[Atom], units: Sequence[Unit]) -> Pairing:
    """The pairing that keeps the order of both, then what is left over and fits exactly, then what was fused.

    Branches that do not depend on each other may run in another order than the graph's.
    """
    scores = table(atoms, units, score, _atom_key, _unit_key)
    _prefer_names(atoms, units, scores)
    folded = not any(_normalizes(unit) for unit in units)
    joined = table(atoms, units, partial(absorbs, folded=folded), _atom_key, _unit_key)
    pairs: _Pairs = []
    if atoms and units:
        row_cost = np.array([missed_layer(atom) for atom in atoms])
        column_cost = np.array([missed_unit(unit) for unit in units])
        pairs = _first_of_each(align(scores, joined, row_cost, column_cost))
    pairs += _left_over(atoms, units, pairs, scores)
    pairs += _fused(atoms, pairs, joined)
    return Pairing(tuple(atoms), tuple(units), tuple(sorted(pairs)), scores)


def _prefer_names(atoms: Sequence[Atom], units: Sequence[Unit], scores: Table) -> None:
    """A unit that a node or module names fits that layer better than another of the same form."""
    named: dict[str, list[int]] = defaultdict(list)
    for place, atom in enumerate(atoms):
        for name in {atom.name, atom.module} - {""}:
            named[name].append(place)
    for column, unit in enumerate(units):
        rows = [row for row in named.get(unit.module, ()) if scores[row, column] > 0]
        scores[rows, column] += SAME_NAME


def _normalizes(unit: Unit) -> bool:
    return unit.signature.family is Family.NORMALIZATION or "batch" in unit.signature.functions


def _first_of_each(pairs: Sequence[tuple[int, int]]) -> _Pairs:
    """The layer that each unit was aligned with; what it runs besides is told by what depends on that layer."""
    first: dict[int, int] = {}
    for atom, unit in pairs:
        first.setdefault(unit, atom)
    return [(atom, unit) for unit, atom in first.items()]


def _left_over(atoms: Sequence[Atom], units: Sequence[Unit], pairs: _Pairs, scores: Table) -> _Pairs:
    """Units without a layer, each with a layer without a unit that has its very dimensions.

    Of several, the one that reads what the unit before wrote, then the nearest.
    """
    placed = {unit: atom for atom, unit in pairs}
    free = sorted(set(range(len(atoms))) - {atom for atom, _ in pairs})
    found: _Pairs = []
    near = 0
    for unit in range(len(units)):
        if unit not in placed and not units[unit].bare:
            fitting = [atom for atom in free if scores[atom, unit] >= SAME and not atoms[atom].piece]
            if fitting:
                before = atoms[near].layer
                chosen = min(fitting, key=lambda at: (-scores[at, unit], before not in atoms[at].reads, abs(at - near)))
                free.remove(chosen)
                placed[unit] = chosen
                found.append((chosen, unit))
        near = placed.get(unit, near)
    return found


def _fused(atoms: Sequence[Atom], pairs: _Pairs, joined: Table) -> _Pairs:
    """Layers without a unit, with the unit that ran what they read, if that may run them besides.

    Of several units, the last: an addition ends the branch that ran later.
    """
    units_of: dict[int, list[int]] = defaultdict(list)
    for atom, unit in pairs:
        units_of[atoms[atom].layer].append(unit)
    found: _Pairs = []
    for place, each in enumerate(atoms):
        if each.piece or units_of[each.layer]:
            continue
        before = [unit for layer in each.reads for unit in units_of[layer]]
        fitting = [unit for unit in before if joined[place, unit] > 0]
        if fitting:
            found.append((place, max(fitting)))
            units_of[each.layer].append(max(fitting))
        elif each.signature.family is Family.MOVEMENT:
            units_of[each.layer] = before  # a view: what reads it reads through it
    return found


def _atom_key(atom: Atom) -> object:
    return atom.signature, atom.piece


def _unit_key(unit: Unit) -> object:
    return unit.signature
