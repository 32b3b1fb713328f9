"""A user's own training as ``package.module:callable``, and the built-in recipe over a user's data, in one form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from headroom.change.training.evaluate import accuracy_pct
from headroom.change.training.loop import train
from headroom.change.training.recipe import Recipe
from headroom.errors import HeadroomError, ModelError
from headroom.graph.torch.callable import imported

#: Trains a module in place; returns its score on data it was not trained on (higher is better), or nothing.
Trainer = Callable[[nn.Module], float | None]

_CONTRACT = "it is called with the module, trains it in place and returns its accuracy in percent or nothing"


def own_trainer(reference: str) -> Trainer:
    """The training function at ``package.module:callable``; whatever it raises or returns wrongly is one sentence.

    Raises:
        UsageError: the reference has no such form.
        ModelError: there is no such function.
    """
    found = imported(reference)
    if not callable(found):
        raise ModelError(f"{reference} is a {type(found).__name__} and no function; {_CONTRACT}")

    def trainer(module: nn.Module) -> float | None:
        score = _result(found, reference, _CONTRACT, module)
        if score is None:
            return None
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise ModelError(f"{reference} returned {score!r:.60}; {_CONTRACT}")
        return float(score)

    return trainer


@dataclass(frozen=True)
class BuiltIn:
    """The built-in recipe as a :data:`Trainer`. ``checkpoint`` lets a killed run go on."""

    training_data: Any
    test_data: Any
    recipe: Recipe = field(default_factory=Recipe)
    checkpoint: Path | None = None

    def __call__(self, module: nn.Module) -> float | None:
        train(module, self.training_data, self.recipe, checkpoint=self.checkpoint)
        return None if self.test_data is None else accuracy_pct(module, self.test_data)


def own_data(reference: str) -> tuple[Any, Any]:
    """``(training data, test data)`` that the function at ``package.module:callable`` returns: loaders or batches.

    Raises:
        UsageError: the reference has no such form.
        ModelError: there is no such function, or it fails or returns something else.
    """
    found = imported(reference)
    contract = "it is called without arguments and returns (training data, test data), two data loaders"
    made = _result(found, reference, contract) if callable(found) else found
    if not isinstance(made, tuple | list) or len(made) != 2:
        raise ModelError(f"{reference} returned a {type(made).__name__}; {contract}")
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
