"""A user's own training as ``package.module:callable``, and the built-in recipe over a user's data, in one form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from headroom.change.training.loop import train
from headroom.change.training.recipe import Recipe
from headroom.errors import HeadroomError, ModelError
from headroom.graph.torch.callable import imported

#: Trains the module that it is given in place and returns nothing or a score, or returns the trained module.
Trainer = Callable[[nn.Module], Any]

_CONTRACT = (
    "it is called with the module, trains it in place and returns nothing or its accuracy, or returns it trained"
)
_DATA_CONTRACT = "it is called without arguments and returns (training data, test data), two data loaders"


@dataclass(frozen=True)
class Outcome:
    """A trained module, and the score that its training returned, if it did."""

    module: nn.Module
    score: float | None = None


def trained_by(trainer: Trainer, module: nn.Module) -> Outcome:
    """What ``trainer`` makes of the module.

    Raises:
        ModelError: it returns neither a module nor a number.
    """
    found = trainer(module)
    if found is None or isinstance(found, nn.Module):
        return Outcome(module if found is None else found)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise ModelError(f"training returned {found!r:.60}; {_CONTRACT}")
    return Outcome(module, float(found))


def own_trainer(reference: str) -> Trainer:
    """The training function at ``package.module:callable``; whatever it raises is one sentence.

    Raises:
        UsageError: the reference has no such form.
        ModelError: there is no such function.
    """
    found = imported(reference)
    if not callable(found):
        raise ModelError(f"{reference} is of type {type(found).__name__} and no function; {_CONTRACT}")
    return lambda module: _result(found, reference, _CONTRACT, module)


@dataclass(frozen=True)
class BuiltIn:
    """The built-in recipe as a :data:`Trainer`. ``checkpoint`` lets a killed run go on."""

    data: Any
    recipe: Recipe = field(default_factory=Recipe)
    checkpoint: Path | None = None

    def __call__(self, module: nn.Module) -> nn.Module:
        train(module, self.data, self.recipe, checkpoint=self.checkpoint)
        return module


def own_data(reference: str) -> tuple[Any, Any]:
    """``(training data, test data)`` that the function at ``package.module:callable`` returns: loaders or batches.

    Raises:
        UsageError: the reference has no such form.
        ModelError: there is no such function, or it fails or returns something else.
    """
    found = imported(reference)
    made = _result(found, reference, _DATA_CONTRACT) if callable(found) else found
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise ModelError(f"{reference} returned something of type {type(made).__name__}; {_DATA_CONTRACT}")
    return made[0], made[1]


def _result(function: Any, reference: str, contract: str, *arguments: Any) -> Any:
    """What the user's function returns; whatever it raises becomes one sentence."""
    try:
        return function(*arguments)
    except HeadroomError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's function can raise anything
        line = next((each for each in str(error).splitlines() if each.strip()), "no message")
        raise ModelError(f"{reference} raised {type(error).__name__}: {line}; {contract}") from error
