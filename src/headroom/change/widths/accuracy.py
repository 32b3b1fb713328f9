"""The accuracy goal: more parameters at no more latency, in a network that starts as the one it was made of.

Equation 6 of the tail-effect paper, over the same tables of times as the other goals. Importing it loads PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from headroom.change.widths.groups import Growth, WidthGroups, set_widths
from headroom.change.widths.groups.resize import Importance
from headroom.change.widths.solve.exact import widest
from headroom.change.widths.solve.problem import Count, LayerTable, WidthProblem
from headroom.change.widths.staircase.layers import at_widths
from headroom.errors import UsageError
from headroom.graph.layer import Layer


@dataclass(frozen=True)
class Widening:
    """Widths with more parameters at no more latency, by the tables."""

    widths: Mapping[str, int]
    before_us: float
    after_us: float
    parameters_before: int
    parameters_after: int

    @property
    def gains(self) -> bool:
        """Whether there is anything to gain."""
        return self.parameters_after > self.parameters_before


def with_parameters(problem: WidthProblem, layers: Mapping[str, Layer]) -> WidthProblem:
    """``problem`` whose tables also count parameters; ``layers`` are those of the graph by the names of the tables.

    Raises:
        UsageError: a table is of no layer, or has widths that the layer cannot have.
    """

    def counted(table: LayerTable) -> LayerTable:
        if table.name not in layers:
            raise UsageError(f"{table.name} is no layer of the graph; name its table as the graph does")
        layer = layers[table.name]
        return replace(table, parameters={pair: _parameters(layer, *pair) for pair in table.times_us})

    return replace(problem, layers=tuple(counted(table) for table in problem.layers))


def _parameters(layer: Layer, in_width: int, out_width: int) -> int:
    return sum(math.prod(weight.shape) for weight in at_widths(layer, out_width, in_width).weights)


def widening(problem: WidthProblem, *, at_most_us: float | None = None, only_wider: bool = True) -> Widening:
    """The widths of most parameters that take no longer than the current ones, or ``at_most_us``.

    Args:
        problem: with counts of parameters (:func:`with_parameters`).
        only_wider: every layer stays at least as wide as it is, so that the network starts at its old accuracy;
            otherwise some layers may give channels up for others that need them more, as equation 6 allows.

    Raises:
        UsageError: no choice of widths is fast enough, or parameters are not counted.
    """
    found = widest(problem, at_most_us=at_most_us, only_wider=only_wider, count=Count.PARAMETERS)
    before = problem.current
    return Widening(
        found,
        problem.total_us(before),
        problem.total_us(found),
        problem.total_parameters(before),
        problem.total_parameters(found),
    )


def widened(
    module: nn.Module,
    example_inputs: Any,
    groups: WidthGroups,
    widths: Mapping[str, int],
    *,
    growth: Growth = Growth.FRESH,
    importance: Importance | None = None,
    seed: int = 0,
) -> nn.Module:
    """A copy of ``module`` with these widths, to be trained on; where no group shrinks it computes the same, checked.

    Args:
        growth: ``FRESH`` adds random features that are read with weight zero, ``DUPLICATE`` copies features and shares
            their readers' weights. ``ZERO`` is refused: training does not reach channels of zeros.
        importance: which channels a group keeps that shrinks.

    Raises:
        UsageError: a growth that cannot be trained, no such group, or a frozen one.
        ModelError: the network does not run at these widths, or computes something else although it only grew.
    """
    if growth is Growth.ZERO:
        raise UsageError("channels of zeros on both sides are never trained; grow by fresh channels or by copies")
    return set_widths(module, example_inputs, groups, widths, importance=importance, growth=growth, seed=seed)
