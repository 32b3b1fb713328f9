"""Which widths layers can have where groups have several: every sum of their groups' shares."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction

from headroom.change.widths.solve.problem import Width

Choices = Mapping[str, Sequence[int]]

#: Widths of one end of a layer beyond which groups keep their present width: pairs are counted by the product.
MOST_SUMS = 96


def totals(width: Width, choices: Choices) -> tuple[int, ...]:
    """Every width that the choices make, ascending."""
    found = {Fraction(width.fixed)}
    for name, share in width.parts.items():
        found = {total + share * choice for total in found for choice in choices[name]}
    return tuple(sorted(int(total) for total in found if total.denominator == 1))


def pairs_of(inputs: Width, outputs: Width, choices: Choices) -> tuple[tuple[int, int], ...]:
    """Every pair of input and output width that the choices make; of ends that share groups only those that agree."""
    shared = sorted(inputs.parts.keys() & outputs.parts.keys())
    found: set[tuple[int, int]] = set()
    for chosen in itertools.product(*(choices[name] for name in shared)):
        some = {**choices, **{name: (choice,) for name, choice in zip(shared, chosen, strict=True)}}
        found.update(itertools.product(totals(inputs, some), totals(outputs, some)))
    return tuple(sorted(found))
