"""Find the width groups of a module: trace it, try how each kind of channel can move, and prove what moves."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from headroom.change.widths.groups.classes import Traced, trace
from headroom.change.widths.groups.group import WidthGroups
from headroom.change.widths.groups.run import call, evaluating
from headroom.change.widths.groups.search import Search
from headroom.errors import ModelError


def width_groups(module: nn.Module, example_inputs: Any) -> WidthGroups:
    """Every width group of ``module``, each proved on a copy or frozen with the reason. The module stays as it is.

    Args:
        module: a network; it runs in evaluation mode, on the CPU and in float64 for the proofs.
        example_inputs: a tensor, a tuple of arguments or a dict of them; a batch of one is enough.

    Raises:
        ModelError: the module does not run on them, or cannot be copied.
    """
    # The network's own code runs here, and may fail with anything.
    try:
        watched = copy.deepcopy(module)
    except Exception as error:
        raise ModelError(f"the network cannot be copied, which every proof does first: {error}") from error
    try:
        traced, even = _traced(watched, example_inputs)
    except ModelError:
        raise
    except Exception as error:
        sentence = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ModelError(f"the network does not run on its example inputs: {sentence}; give others") from error
    return WidthGroups(tuple(Search(module, example_inputs, traced, even).groups()), even)


def _traced(module: nn.Module, inputs: Any) -> tuple[Traced, frozenset[str]]:
    with evaluating(module):
        traced = trace(module, lambda: call(module, inputs))
        even = _evenly_grouped(traced)
        return (trace(module, lambda: call(module, inputs), even) if even else traced), even


def _evenly_grouped(traced: Traced) -> frozenset[str]:
    """Grouped convolutions that cannot lose a whole group: all their channels are one, or some are the output's."""
    found = []
    for kind in traced.kinds.values():
        for axis, positions in kind.spans:
            size = len(traced.atoms.of(axis))
            if axis.tensor in traced.grouped and (positions == size or kind.frozen):
                found.append(axis.tensor)
    return frozenset(found)
