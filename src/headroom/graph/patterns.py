"""Normalisations and activations written out as arithmetic, recognised as the one layer they are.

A pattern is a group of simple layers that together read one tensor and write one tensor. Which one it is
follows from the multiset of its operations: no two entries of the table share theirs. Each of them needs its
source in two places (``x * sigmoid(x)``), which tells it from a mere chain (``2 * sigmoid(x)``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.uses import Uses, joined
from headroom.graph.work import Elementwise, Normalization, Reduction, Work

#: A tensor that more layers read is no pattern's source; bounds the search.
_MOST_READERS = 16

MakeWork = Callable[[tuple[Layer, ...]], Work]


@dataclass(frozen=True)
class Pattern:
    """``operator`` names the layer; ``operations`` is what it consists of, in any order."""

    operator: str
    operations: tuple[str, ...]
    work: MakeWork


def _activation(function: str, flops_per_element: int) -> MakeWork:
    return lambda parts: Elementwise(function, parts[-1].outputs[0].elements, flops_per_element, activation=True)


def _statistics(function: str, flops_per_element: int) -> MakeWork:
    """A normalisation; its group is what the pattern's first mean runs over."""

    def make(parts: tuple[Layer, ...]) -> Work:
        means = (part.work for part in parts if isinstance(part.work, Reduction))
        group = next(mean.elements // max(mean.out_elements, 1) for mean in means)
        return Normalization(function, parts[-1].outputs[0].elements, group, flops_per_element)

    return make


def _with_affine(operator: str, cores: Iterable[tuple[str, ...]], work: MakeWork) -> list[Pattern]:
    """A normalisation alone, with a scale, and with scale and shift."""
    endings: tuple[tuple[str, ...], ...] = ((), ("mul",), ("mul", "add"))
    return [Pattern(operator, (*core, *ending), work) for core in cores for ending in endings]


_LAYER_CORES = tuple(
    ("reducemean", "sub", square, "reducemean", "add", *root)
    for square in ("pow", "mul")
    for root in (("sqrt", "div"), ("sqrt", "reciprocal", "mul"), ("pow", "mul"))
)
_RMS_CORES = tuple(
    (square, "reducemean", "add", *root)
    for square in ("pow", "mul")
    for root in (("sqrt", "div"), ("sqrt", "reciprocal", "mul"), ("rsqrt", "mul"))
)

PATTERNS: tuple[Pattern, ...] = (
    *_with_affine("LayerNormalization", _LAYER_CORES, _statistics("layer", 8)),
    *_with_affine("RMSNormalization", _RMS_CORES, _statistics("rms", 5)),
    Pattern("Gelu", ("div", "erf", "add", "mul", "mul"), _activation("gelu", 14)),
    Pattern("Gelu", ("mul", "erf", "add", "mul", "mul"), _activation("gelu", 14)),
    Pattern("Gelu", ("pow", "mul", "add", "mul", "tanh", "add", "mul", "mul"), _activation("gelu", 14)),
    Pattern("Swish", ("sigmoid", "mul"), _activation("swish", 11)),
    Pattern("QuickGelu", ("mul", "sigmoid", "mul"), _activation("quickgelu", 12)),
    Pattern("HardSwish", ("hardsigmoid", "mul"), _activation("hardswish", 5)),
    Pattern("HardSwish", ("add", "clip", "mul", "div"), _activation("hardswish", 5)),
    Pattern("HardSwish", ("add", "clip", "div", "mul"), _activation("hardswish", 5)),
    Pattern("Mish", ("softplus", "tanh", "mul"), _activation("mish", 20)),
)

_BY_OPERATIONS = {tuple(sorted(pattern.operations)): pattern for pattern in PATTERNS}
_LONGEST = max(map(len, _BY_OPERATIONS))
_OPERATIONS = frozenset(operation for pattern in PATTERNS for operation in pattern.operations)


@cache
def _beginnings() -> frozenset[tuple[str, ...]]:
    """Every multiset of operations that can still become a pattern; it keeps the search short."""
    return frozenset(
        part
        for operations in _BY_OPERATIONS
        for size in range(1, len(operations) + 1)
        for part in combinations(operations, size)
    )


def join_patterns(layers: tuple[Layer, ...], outputs: Iterable[TensorSpec]) -> tuple[Layer, ...]:
    """Replace every written-out normalisation and activation by one layer that keeps them as parts."""
    uses = Uses(layers, outputs)
    replaced: dict[int, Layer] = {}
    taken: set[int] = set()
    for index in range(len(layers)):
        if index in taken or _operation(layers[index]) is None:
            continue
        members, pattern = _largest_match(uses, index, taken)
        if pattern is not None:
            taken.update(members)
            replaced[members[-1]] = _layer(tuple(layers[i] for i in members), pattern)
    return joined(layers, replaced, taken)


def _operation(layer: Layer) -> str | None:
    """The name of a simple operation that some pattern contains."""
    work = layer.work
    if not isinstance(work, Elementwise | Reduction) or layer.parts or len(layer.outputs) != 1:
        return None
    return work.function if work.function in _OPERATIONS else None


def _largest_match(uses: Uses, first: int, taken: set[int]) -> tuple[list[int], Pattern | None]:
    """Grow a group from its first layer on; remember the largest that is a pattern."""
    layers = uses.layers
    if len(layers[first].inputs) != 1:
        return [], None
    source = layers[first].inputs[0].name
    if len(uses.readers[source]) > _MOST_READERS:
        return [], None
    members, known = [first], {source, layers[first].outputs[0].name}
    best: tuple[list[int], Pattern | None] = ([], None)
    while len(members) < _LONGEST:
        following = _next_member(uses, members, known, taken)
        if following is None:
            break
        members = sorted((*members, following))
        known.add(layers[following].outputs[0].name)
        operations = tuple(sorted(filter(None, (_operation(layers[i]) for i in members))))
        if operations not in _beginnings():
            break
        pattern = _BY_OPERATIONS.get(operations)
        fits = _closed(uses, members) and _reads_again(layers, members, source) and _full_size(layers, members, source)
        if pattern is not None and fits:
            best = (list(members), pattern)
    return best


def _next_member(uses: Uses, members: list[int], known: set[str], taken: set[int]) -> int | None:
    """The earliest layer outside the group that reads from it, and nothing from elsewhere."""
    candidates = {
        reader
        for name in known
        for reader in uses.readers.get(name, ())
        if reader not in members and reader not in taken and reader > members[0]
    }
    fitting = (
        i
        for i in candidates
        if _operation(uses.layers[i]) is not None and all(t.name in known for t in uses.layers[i].inputs)
    )
    return min(fitting, default=None)


def _closed(uses: Uses, members: list[int]) -> bool:
    """Whether nothing outside the group reads from it, its last layer's result aside."""
    for index in members[:-1]:
        name = uses.layers[index].outputs[0].name
        if name in uses.kept or any(reader not in members for reader in uses.readers.get(name, ())):
            return False
    return True


def _reads_again(layers: tuple[Layer, ...], members: list[int], source: str) -> bool:
    """Whether a later member of the group needs the source as well."""
    return any(tensor.name == source for index in members[1:] for tensor in layers[index].inputs)


def _full_size(layers: tuple[Layer, ...], members: list[int], source: str) -> bool:
    """Whether the result is as large as the tensor that the group reads."""
    size = next(t.elements for t in layers[members[0]].inputs if t.name == source)
    return math.prod(layers[members[-1]].outputs[0].shape) == size


def _layer(parts: tuple[Layer, ...], pattern: Pattern) -> Layer:
    last = parts[-1]
    weights = {tensor.name: tensor for part in parts for tensor in part.weights}
    return Layer(
        name=last.name,
        operator=pattern.operator,
        work=pattern.work(parts),
        inputs=parts[0].inputs,
        weights=tuple(weights.values()),
        outputs=last.outputs,
        module=last.module or parts[0].module,
        parts=parts,
    )
