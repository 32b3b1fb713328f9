"""Prove on a copy that a group's widths can move: dead channels removed and zero channels added change no output."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headroom.change.widths.groups.classes import Kind, Traced
from headroom.change.widths.groups.elastic import OutputError, SilentError, WidthError
from headroom.change.widths.groups.layout import Filling
from headroom.change.widths.groups.move import Move, failure, moved
from headroom.change.widths.groups.run import difference, outputs, telling
from headroom.change.widths.groups.stored import stored

#: Outputs further apart than this share of their largest value are different: rounding of float64 stays far below.
EQUAL = 1e-9
#: The same where the module's code computes in float32 whatever it is given.
EQUAL_FLOAT32 = 1e-4
#: A proof needs outputs that tell: removing live channels must change them by this many times what counts as equal.
_TELLS = 100
#: Draws of the channels to remove before the outputs are said to tell nothing.
_DRAWS = 4


class Stand:
    """A copy of a network for proofs: float64, every weight random, so that nothing is equal by accident.

    A freshly made network is full of accidents: zero biases, zero shortcuts, layer scales of 1e-6, equal statistics.
    """

    def __init__(self, module: nn.Module, inputs: Any, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.module = copy.deepcopy(module).cpu().double()
        with torch.no_grad():
            for name, held in stored(self.module).items():
                if held.tensor.is_floating_point():
                    _randomise(name.rpartition(".")[2], held.tensor, generator)
        self.inputs = telling(inputs, self.module, generator)
        self.random = np.random.default_rng(seed)
        try:
            self.outputs = outputs(self.module, self.inputs)
        # The network's own code, which may insist on the type that its weights had.
        except Exception as error:
            raise WidthError(f"in float64 {failure(error)}") from error
        if not self.outputs:
            raise WidthError("it returns no floating-point tensors, so that nothing can be proved")
        finite = all(bool(torch.isfinite(each).all()) for each in self.outputs)
        if not finite:
            raise WidthError("its outputs on random weights are no finite numbers, which can prove nothing")
        single = any(each.dtype != torch.float64 for each in self.outputs)
        self.equal = EQUAL_FLOAT32 if single else EQUAL


def prove(
    stand: Stand, before: Traced, grow: Move, shrink: Move | None, even: frozenset[str], filling: Filling
) -> None:
    """Check that ``grow`` and ``shrink`` move widths without touching the function.

    Raises:
        WidthError: they do not, or the outputs cannot tell.
    """
    grown = moved(stand.module, stand.inputs, before, grow, even, filling=filling)
    apart = difference(stand.outputs, outputs(grown, stand.inputs))
    if not apart <= stand.equal:
        raise OutputError(f"zero channels change its outputs by {100 * apart:.2g} %")
    if shrink is not None:
        _prove_shrinking(stand, before, shrink, even, filling)


def _prove_shrinking(stand: Stand, before: Traced, shrink: Move, even: frozenset[str], filling: Filling) -> None:
    # A channel that an activation happens to silence tells nothing: then others are removed.
    for _ in range(_DRAWS):
        if _removes_dead_ones_only(stand, before, shrink, even, filling):
            return
    raise SilentError("removing live channels does not change its outputs, so that they prove nothing")


def _removes_dead_ones_only(stand: Stand, before: Traced, shrink: Move, even: frozenset[str], filling: Filling) -> bool:
    """Remove channels drawn at random; whether their values had mattered.

    Raises:
        WidthError: it matters although the channels were dead.
    """
    kept: dict[Any, np.ndarray] = {}

    def choose(kind: Kind, count: int) -> np.ndarray:
        kept[kind.key] = _with_a_hole(kind.count, count, stand.random)
        return kept[kind.key]

    smaller = outputs(moved(stand.module, stand.inputs, before, shrink, even, choose, filling), stand.inputs)
    dead = outputs(_with_dead_channels(stand.module, before, kept), stand.inputs)
    apart = difference(dead, smaller)
    if not apart <= stand.equal:
        raise OutputError(f"removing dead channels changes its outputs by {100 * apart:.2g} %")
    return difference(stand.outputs, smaller) > _TELLS * stand.equal


def _with_a_hole(count: int, left: int, random: np.random.Generator) -> np.ndarray:
    """``left`` of ``count`` channels, drawn so that some of them change their place and their neighbours.

    Where only the last channels went, nobody would notice code that treats each by its place.
    """
    inner = random.permutation(np.arange(1, count - 1))
    return np.sort(np.delete(np.arange(count), np.concatenate([inner, [0, count - 1]])[: count - left]))


def _with_dead_channels(module: nn.Module, before: Traced, kept: dict[Any, np.ndarray]) -> nn.Module:
    """A copy in which every channel that is not kept produces zeros and is read with weights of zero."""
    changed = copy.deepcopy(module)
    held = stored(changed)
    for key, rows in kept.items():
        kind = before.kinds[key]
        for axis, positions in kind.places(before.atoms):
            gone = torch.from_numpy(np.delete(positions, rows, axis=0).reshape(-1))
            if not axis.tensor.endswith("running_var"):
                held[axis.tensor].tensor.detach().index_fill_(axis.axis, gone, 0)
    return changed


def _randomise(attribute: str, tensor: Tensor, generator: torch.Generator) -> None:
    """Weights that keep the size of what passes, scales about one, small offsets."""
    if attribute == "running_var" or (tensor.ndim == 1 and attribute == "weight"):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    elif tensor.ndim >= 2:
        gain = math.sqrt(2 / max(1, tensor[0].numel()))
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * gain)
    elif attribute == "running_mean":
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.1)
    elif attribute == "bias":
        # Mostly above zero, so that few channels are silenced by a ReLU: those prove nothing.
        tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.1)
    elif isinstance(tensor, nn.Parameter):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
