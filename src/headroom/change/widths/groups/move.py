"""One change of widths, made on a copy of a module."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from headroom.change.widths.groups.classes import Traced, trace
from headroom.change.widths.groups.elastic import Resizer, WidthError, elastic
from headroom.change.widths.groups.layout import ZEROS, Choice, Filling, fill, first_ones
from headroom.change.widths.groups.run import call, evaluating
from headroom.change.widths.groups.stored import Axis, stored


@dataclass(frozen=True)
class Move:
    """By how much axes grow (negative: shrink), and the new values of attributes that code reads widths from.

    ``moving`` are the keys of the kinds that are to grow (1) or to shrink (-1); all others keep their count.
    """

    deltas: Mapping[Axis, int]
    moving: Mapping[Any, int]
    settings: Mapping[tuple[str, str], int] = field(default_factory=dict)


def moved(
    module: nn.Module,
    inputs: Any,
    before: Traced,
    move: Move,
    even: frozenset[str] = frozenset(),
    choose: Choice = first_ones,
    filling: Filling = ZEROS,
) -> nn.Module:
    """A copy of ``module`` with other widths; the module itself stays as it is.

    The axes of ``move`` are resized, every layer downstream takes the width that arrives, and a trace of the result
    tells where each channel has gone.

    Raises:
        WidthError: the network does not run with these widths, or its channels would take other ways.
    """
    changed = copy.deepcopy(module)
    resizer = Resizer(changed)
    for (owner, attribute), value in move.settings.items():
        setattr(changed.get_submodule(owner), attribute, value)
    for axis, delta in move.deltas.items():
        resizer.resize(axis, resizer.tensor(axis.tensor).shape[axis.axis] + delta)
    with evaluating(changed):
        try:
            with _WithoutConvolving():
                with elastic(changed, resizer, even):
                    call(changed, inputs)
                after = trace(changed, lambda: call(changed, inputs), even)
        except WidthError:
            raise
        # The network's own code runs here, which may fail with anything; that is what the caller wants to know.
        except Exception as error:
            raise WidthError(failure(error)) from error
    _check_counts(before, after, move.moving)
    old = {name: held.tensor for name, held in stored(module).items()}
    fill(before, after, old, stored(changed), choose, filling)
    return changed


class _WithoutConvolving(TorchDispatchMode):  # type: ignore[misc]  # PyTorch's annotations are not followed
    """Within it, convolutions return numbers of the right shape, at once: here it matters where channels go."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.convolution.default:
            return func(*args, **(kwargs or {}))
        like = func(*(each.to("meta") if isinstance(each, torch.Tensor) else each for each in args), **(kwargs or {}))
        result = torch.empty_like(like, device=args[0].device)
        # Numbers that differ, for code that divides by their spread.
        return result.copy_(torch.linspace(-1, 1, result.numel(), device=result.device).view(result.shape))


def _check_counts(before: Traced, after: Traced, moving: Mapping[Any, int]) -> None:
    """Check that channels came and went only where they were meant to.

    Raises:
        WidthError: others did: where code halves a number of channels, a few more here are a few fewer there.
    """
    for key, kind in before.kinds.items():
        if key not in after.kinds:
            continue
        gained = after.kinds[key].count - kind.count
        if gained * moving.get(key, 0) < 0 or (gained and key not in moving):
            raise WidthError(f"{-gained if gained < 0 else gained} channels of {kind.layer} would come or go with it")


def failure(error: Exception) -> str:
    """What a network's own code failed with, as the end of a sentence."""
    lines = str(error).strip().splitlines()
    return f"its own code fails with {type(error).__name__}: {lines[0] if lines else 'no message'}"
