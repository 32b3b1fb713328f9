"""How well a pairing holds: the shares of layers and of units that found each other."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.advise.matching.pairing import Pairing
from headroom.advise.matching.score import EXACT, OTHER_SOURCE, SAME_NAME
from headroom.advise.matching.signature import Family
from headroom.advise.matching.units import Unit

#: What a framework runs on its own unless it fuses.
_PLAIN = frozenset({Family.POINTWISE, Family.NORMALIZATION, Family.POOLING, Family.SOFTMAX})

#: A product or two of one size may stand in many models.
_ENOUGH_PAIRS = 3


@dataclass(frozen=True)
class Evidence:
    """What tells a profile of this model from another's.

    ``layers`` and ``units`` index the convolutions, products, attentions and recurrences of the two sides, the
    ``missed`` those without a partner. ``exact`` says that the profile tells dimensions and that those of all pairs
    agree; else ``deviating`` are the pairs (atom, unit) with the layer's weights and another input.
    ``sized_share`` is the share of the other units of known size that found a layer of that size, ``plain_share``
    that of the layers between the products that found a unit.
    """

    layers: tuple[int, ...]
    missed_layers: tuple[int, ...]
    units: tuple[int, ...]
    missed_units: tuple[int, ...]
    deviating: tuple[tuple[int, int], ...]
    sized_share: float
    plain_share: float
    exact: bool


def evidence(pairing: Pairing) -> Evidence:
    """What the pairing says about whether the profile is one of the model."""
    atoms, units = pairing.atoms, pairing.units
    run = {atoms[atom].layer for atom, _ in pairing.pairs}
    # A bias alone does not run a product.
    multiplied = {atoms[atom].layer for atom, unit in pairing.pairs if units[unit].signature.family.multiplies}
    used = {unit for _, unit in pairing.pairs}
    layers = tuple(at for at, atom in enumerate(atoms) if atom.signature.family.multiplies and not atom.piece)
    multiplying = tuple(at for at, unit in enumerate(units) if unit.signature.family.multiplies)
    deviating = [(a, u) for a, u in pairing.pairs if not atoms[a].piece and _other_source(pairing.scores[a, u])]
    asked = set(layers)
    told = [pairing.scores[a, u] for a, u in pairing.pairs if a in asked]
    sized = [at for at, unit in enumerate(units) if _sized(unit)]
    plain = [atom for atom in atoms if not atom.piece and atom.signature.family in _PLAIN]
    return Evidence(
        layers,
        tuple(at for at in layers if atoms[at].layer not in multiplied),
        multiplying,
        tuple(at for at in multiplying if at not in used),
        tuple(deviating),
        _share(sum(at in used for at in sized), len(sized)),
        _share(sum(atom.layer in run for atom in plain), len(plain)),
        exact=len(told) >= _ENOUGH_PAIRS and all(score >= EXACT for score in told),
    )


def _other_source(score: float) -> bool:
    return OTHER_SOURCE <= score <= OTHER_SOURCE + SAME_NAME


def _sized(unit: Unit) -> bool:
    signature = unit.signature
    known = bool(signature.spans) or signature.written is not None
    return known and not signature.family.multiplies and not unit.kernel.purpose


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
