"""How well a unit of a profile fits a layer."""

from __future__ import annotations

import math

from headroom.advise.matching.layers import Atom
from headroom.advise.matching.signature import Family, Signature
from headroom.advise.matching.units import Unit

#: A product or convolution with the very dimensions of the layer.
EXACT = 10.0
#: The same weights, another size of image or batch: planted padding, a deviation worth seeing.
OTHER_SOURCE = 5.0
#: A kernel of the right family, its dimensions unknown.
LIKELY = 8.0
#: A convolution run as a matrix product, which 1x1 convolutions often are.
AS_PRODUCT = 7.0
#: Any other layer with the same function and the same number of values.
SAME = 3.0
#: The same function, the number of values unknown.
NAMED = 2.0
#: Only the family fits.
VAGUE = 0.8
#: A piece of a layer is taken only where no layer of its own fits.
PIECE = 0.6
#: What the same name or module adds: of two that fit alike it decides.
SAME_NAME = 1.0
#: What it costs to leave a product or convolution without its other half, and anything else.
MISSED_PRODUCT = 4.0
MISSED = 0.3

_NONE = 0.0

#: Channels of a block of the blocked layouts, and of half a block: a layer whose channels were filled up stays itself.
_BLOCK, _HALF_BLOCK = 16, 8

#: What may run as the end of an earlier layer's kernel.
_ABSORBED = frozenset({Family.POINTWISE, Family.NORMALIZATION, Family.MOVEMENT})
#: What a compiler puts into one kernel with that.
_FUSED = _ABSORBED | {Family.POOLING, Family.REDUCTION, Family.SOFTMAX, Family.EMBEDDING}

#: Families that one kernel or operator may serve: global pooling is a mean, a lookup a gather.
_KIN = {
    frozenset({Family.POOLING, Family.REDUCTION}),
    frozenset({Family.EMBEDDING, Family.MOVEMENT}),
    frozenset({Family.POINTWISE, Family.MOVEMENT}),
}


def missed_layer(atom: Atom) -> float:
    """The cost of a layer that nothing ran. Attention has its pieces instead; copies may be views."""
    family = atom.signature.family
    if atom.piece or family in (Family.ATTENTION, Family.MOVEMENT):
        return 0.0
    return MISSED_PRODUCT if family.multiplies else MISSED


def missed_unit(unit: Unit) -> float:
    """The cost of a unit that no layer asks for."""
    return MISSED_PRODUCT if unit.signature.family.multiplies else MISSED * (not unit.kernel.purpose)


def score(atom: Atom, unit: Unit) -> float:
    """How well they fit, 0 where they cannot."""
    layer, ran = atom.signature, unit.signature
    if atom.piece and not ran.family.multiplies and not _is_piece(layer, ran):
        return _NONE
    found = _multiplying(layer, ran) if layer.family.multiplies or ran.family.multiplies else _plain(layer, ran)
    return found * PIECE if atom.piece else found


def _is_piece(layer: Signature, ran: Signature) -> bool:
    """A fused kernel's layers come before another's piece, and a piece's function must agree."""
    return len(ran.functions) <= 1 and (not layer.functions or bool(layer.functions & ran.functions))


def absorbs(atom: Atom, unit: Unit, folded: bool) -> float:
    """How well a unit that runs an earlier layer fits this one besides: a fused kernel, an epilogue.

    ``folded`` says that no normalisation ran on its own: then the weights of convolutions hold them.
    """
    layer, ran = atom.signature, unit.signature
    if atom.piece or layer.family not in (_ABSORBED if ran.family.multiplies else _FUSED):
        return _NONE
    if folded and layer.family is Family.NORMALIZATION:
        ends_product = ran.family.multiplies or "add" in ran.functions
        return NAMED if "batch" in layer.functions and ends_product else _NONE
    ends_with_it = ran.family.multiplies or len(ran.functions) > 1
    return NAMED if ends_with_it and layer.functions & ran.functions else _NONE


def _multiplying(layer: Signature, ran: Signature) -> float:
    if layer.family is not ran.family:
        pair = {layer.family, ran.family}
        if pair != {Family.CONVOLUTION, Family.PRODUCT}:
            return _NONE
        return _as_product(layer, ran)
    if layer.family is Family.CONVOLUTION and ran.weight:
        return _convolution(layer, ran)
    if layer.family is Family.PRODUCT and ran.product:
        return _product(layer, ran)
    if layer.family is Family.ATTENTION and ran.source and layer.source:
        return EXACT if math.prod(layer.source) == math.prod(ran.source) else OTHER_SOURCE
    return LIKELY


def _convolution(layer: Signature, ran: Signature) -> float:
    if layer.weight != ran.weight:
        return LIKELY if _rounded_up(layer.weight, ran.weight) else _NONE
    return EXACT if layer.source == ran.source else OTHER_SOURCE


def _rounded_up(asked: tuple[int, ...], ran: tuple[int, ...]) -> bool:
    """Whether channels were only filled up to whole blocks, as blocked layouts need them."""
    if len(asked) != len(ran) or asked[2:] != ran[2:]:
        return False
    sizes = zip(asked[:2], ran[:2], strict=True)
    return all(size <= given < size + _BLOCK and (given == size or given % _HALF_BLOCK == 0) for size, given in sizes)


def _product(layer: Signature, ran: Signature) -> float:
    if layer.product is None or ran.product is None:
        return _NONE
    if layer.product == ran.product:
        return EXACT
    same_weight = layer.weight and ran.weight and sorted(layer.weight) == sorted(ran.weight)
    return OTHER_SOURCE if same_weight and layer.product[1] == ran.product[1] else _NONE


def _as_product(layer: Signature, ran: Signature) -> float:
    """A convolution and a product: only their sizes can tell whether they are the same."""
    if ran.family is Family.PRODUCT and not ran.product:
        return AS_PRODUCT
    if not layer.weight or not ran.weight or not layer.source or not ran.source:
        return _NONE if ran.weight else AS_PRODUCT / 2
    same = math.prod(layer.weight) == math.prod(ran.weight) and math.prod(layer.source) == math.prod(ran.source)
    return AS_PRODUCT if same else _NONE


def _plain(layer: Signature, ran: Signature) -> float:
    if layer.family is not ran.family and frozenset({layer.family, ran.family}) not in _KIN:
        return NAMED if _fused_has(layer, ran) else _NONE
    if layer.weight and ran.weight:
        return SAME if layer.weight == ran.weight else _NONE
    fits = _size_fits(layer, ran)
    if fits is False:
        return _NONE
    if not layer.functions or not ran.functions:
        return VAGUE if layer.family is ran.family else _NONE
    if layer.functions & ran.functions:
        return SAME if fits else NAMED
    # The name is another's, but the data is the same: a function that has two names.
    return VAGUE if fits and layer.family is ran.family else _NONE


def _fused_has(layer: Signature, ran: Signature) -> bool:
    return ran.family is Family.POINTWISE and bool(layer.functions & ran.functions)


def _size_fits(layer: Signature, ran: Signature) -> bool | None:
    """Whether the sizes agree, ``None`` where one is unknown."""
    if ran.spans and layer.written is not None:
        return any(least <= layer.written <= most for least, most in ran.spans)
    if ran.written is not None and layer.written is not None:
        return ran.written == layer.written
    if ran.source and layer.source:
        return math.prod(ran.source) == math.prod(layer.source)
    return None
