"""Why a profile is not one of a model: the sentence that a user gets instead of a wrong answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from headroom.advise.matching.evidence import Evidence, evidence
from headroom.advise.matching.layers import Atom
from headroom.advise.matching.pairing import Pairing, pair
from headroom.advise.matching.signature import Family, Signature
from headroom.errors import ProfileError
from headroom.graph.graph import Graph
from headroom.measure.profiles.profile import Profile
from headroom.text import plain_line

#: Shares of layers and units that must find each other. Recorded profiles of the right model reach 0.97 and more in
#: each; those of any other network fall below 0.9 in one at least (docs/matching.md).
ENOUGH = 0.9
#: A few calls more than the model's are a head or a pooler that the file leaves out.
FEW = 2

_ATTENTION_PRODUCTS = 2

#: Sizes leave a few batches open; an image that is smaller by far would leave many.
_MOST_BATCHES = 16

_SHOWN = (Family.CONVOLUTION, Family.PRODUCT, Family.ATTENTION, Family.RECURRENT)
_NAMES = {
    Family.CONVOLUTION: "convolution", Family.PRODUCT: "matrix product", Family.ATTENTION: "attention",
    Family.RECURRENT: "recurrence",
}  # fmt: skip


def refuse_other_models(profile: Profile, graph: Graph, pairing: Pairing) -> Evidence:
    """What the pairing rests on.

    Raises:
        ProfileError: the profile is of another model, batch or input; one sentence says which.
    """
    told = evidence(pairing)
    model, title = plain_line(graph.name), plain_line(profile.title)
    if not pairing.units:
        raise ProfileError(
            f"{title} has no work of a GPU in its typical step; record it on a GPU, with the GPU's activities on"
        )
    missed_layers, missed_units = len(told.missed_layers), len(told.missed_units)
    few_layers = missed_layers <= (1 - ENOUGH) * len(told.layers)
    few_units = missed_units <= max(FEW, (1 - ENOUGH) * len(told.units))
    _refuse_other_input(title, model, graph, pairing, told)
    # Where all products agree to the last dimension, the model is told; what stands between may be written otherwise.
    fused = any(len(unit.signature.functions) > 1 for unit in pairing.units)
    between = told.sized_share >= ENOUGH and (told.plain_share >= ENOUGH or fused)
    if few_layers and few_units and (told.exact or between):
        return told
    if few_layers and few_units:
        _refuse_other_batch(title, model, graph, pairing)
    _refuse_several(title, model, pairing, told)
    raise ProfileError(f"{title}: {_difference(model, pairing, told)}; it is not a profile of this model")


def _refuse_other_input(title: str, model: str, graph: Graph, pairing: Pairing, told: Evidence) -> None:
    """The same weights throughout with other inputs: another batch, or another size of image or sequence."""
    # Attention without a fused kernel is two products, whose sizes follow the input's.
    attention = {at for at in told.layers if pairing.atoms[at].signature.family is Family.ATTENTION}
    missed_layers = len(set(told.missed_layers) - attention)
    missed_units = len(told.missed_units) - _ATTENTION_PRODUCTS * len(attention)
    if missed_layers > (1 - ENOUGH) * len(told.layers) or missed_units > FEW:
        return
    if not told.deviating or 2 * len(told.deviating) < len(told.layers):
        return
    atoms = [pairing.atoms[atom] for atom, _ in told.deviating]
    pairs = [(pairing.atoms[atom].signature, pairing.units[unit].signature) for atom, unit in told.deviating]
    places = Counter(place for place in (_place_of_difference(*each) for each in pairs) if place is not None)
    batched = not places or places.most_common(1)[0][0] == 0
    ratios = Counter(ratio for ratio in (_ratio(*each) for each in pairs) if ratio is not None)
    ratio, count = ratios.most_common(1)[0] if ratios else (1.0, 0)
    ran = graph.batch * ratio
    if batched and 5 * count >= 4 * len(pairs) and ran >= 1 and ran == int(ran) and ratio != 1:
        raise _another_batch(title, model, graph.batch, int(ran))
    if told.plain_share < ENOUGH:
        # Inputs of the same rank are easier to compare.
        comparable = [_place_of_difference(*each) is not None for each in pairs]
        first = comparable.index(True) if any(comparable) else 0
        layer, signature = pairs[first]
        raise ProfileError(
            f"{title}: layer {plain_line(atoms[first].name)} read {_dims(signature.source)} there, and reads "
            f"{_dims(layer.source)} in {model}; give the model the input that the profile was recorded with"
        )


def _refuse_several(title: str, model: str, pairing: Pairing, told: Evidence) -> None:
    """Nobody marked the inferences, so that one step holds several."""
    if not told.layers or told.missed_layers or len(told.units) % len(told.layers):
        return
    ran = Counter(pairing.units[at].signature for at in told.units)
    count = len(told.units) // len(told.layers)
    if count > 1 and all(number % count == 0 for number in ran.values()):
        raise ProfileError(
            f"{title} holds {count} inferences of {model} in one step: mark each, with "
            'torch.profiler.record_function(f"ProfilerStep#{number}") around it'
        )


def _refuse_other_batch(title: str, model: str, graph: Graph, pairing: Pairing) -> None:
    """Bare kernels tell the batch by their sizes alone: the right one makes them fit."""
    fits: dict[int, float] = {}
    for batch in _possible_batches(graph, pairing):
        told = evidence(pair([_scaled(atom, batch / graph.batch) for atom in pairing.atoms], pairing.units))
        if min(told.sized_share, told.plain_share) >= ENOUGH and not told.missed_layers:
            fits[batch] = told.sized_share + told.plain_share
    if fits:
        raise _another_batch(title, model, graph.batch, max(fits, key=fits.__getitem__))


def _possible_batches(graph: Graph, pairing: Pairing) -> list[int]:
    """Batches at which the model's largest elementwise result is as large as the profile's."""
    written = [a.signature.written for a in pairing.atoms if a.signature.family is Family.POINTWISE and not a.piece]
    spans = [unit.signature.spans for unit in pairing.units if unit.signature.family is Family.POINTWISE]
    largest, reached = max(filter(None, written), default=0), max(filter(None, spans), key=max, default=())
    if not largest or not reached:
        return []
    each = largest / graph.batch
    possible = {batch for least, most in reached for batch in range(max(1, round(least / each)), int(most / each) + 1)}
    return sorted(possible - {graph.batch})[:_MOST_BATCHES]


def _another_batch(title: str, model: str, batch: int, ran: int) -> ProfileError:
    return ProfileError(f"{title} ran batch {ran} where {model} is read at batch {batch}: add --batch {ran}")


def _scaled(atom: Atom, ratio: float) -> Atom:
    written = atom.signature.written
    if written is None:
        return atom
    return replace(atom, signature=replace(atom.signature, written=max(1, round(written * ratio))))


def _place_of_difference(layer: Signature, ran: Signature) -> int | None:
    """The one dimension in which the inputs differ; a matrix may hold batch and tokens in one, and does not tell."""
    if len(layer.source) != len(ran.source) or len(ran.source) == 2:
        return None
    sizes = zip(layer.source, ran.source, strict=True)
    places = [place for place, (asked, given) in enumerate(sizes) if asked != given]
    return places[0] if len(places) == 1 else None


def _ratio(layer: Signature, ran: Signature) -> float | None:
    if layer.product and ran.product:
        return ran.product[0] / layer.product[0] if layer.product[0] else None
    size = math.prod(layer.source)
    return math.prod(ran.source) / size if layer.source and ran.source and size else None


def _difference(model: str, pairing: Pairing, told: Evidence) -> str:
    """What differs most plainly: the counts, else the first layer without a partner, else the layers between."""
    ran = Counter(pairing.units[at].signature.family for at in told.units)
    asked = Counter(pairing.atoms[at].signature.family for at in told.layers)
    bare = all(unit.bare for unit in pairing.units)
    if bare and sum(ran.values()) != sum(asked.values()):
        return (
            f"the profile launches {sum(ran.values())} convolutions and matrix products where {model} has "
            f"{sum(asked.values())}"
        )
    if not bare and ran != asked:
        shown = [family for family in _SHOWN if ran[family] != asked[family]]
        has = str(asked[shown[0]]) if len(shown) == 1 else _counts(asked, shown)
        return f"the profile runs {_counts(ran, shown)} where {model} has {has}"
    if told.missed_layers:
        return _no_partner(model, pairing, told)
    left = [unit for at, unit in enumerate(pairing.units) if at not in {u for _, u in pairing.pairs}]
    return (
        f"{len(left)} of the profile's {len(pairing.units)} operations fit no layer of {model} in kind and size, and "
        f"{1 - told.plain_share:.0%} of the model's layers between its products were not run"
    )


def _no_partner(model: str, pairing: Pairing, told: Evidence) -> str:
    atom = pairing.atoms[told.missed_layers[0]]
    sentence = f"nothing in the profile has the size of {model}'s layer {plain_line(atom.name)}"
    weight = atom.signature.weight
    return f"{sentence} (weights {_dims(weight)})" if weight else sentence


def _counts(counts: Counter[Family], shown: Sequence[Family]) -> str:
    return _and(_count(counts[family], _NAMES[family]) for family in shown)


def _count(number: int, name: str) -> str:
    return f"{number or 'no'} {name}{'' if number == 1 else 's'}"


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _dims(dims: tuple[int, ...]) -> str:
    return "x".join(map(str, dims)) or "nothing"
