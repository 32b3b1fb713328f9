"""One call of an ATen operator, as a trace sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class Call:
    """One call of an ATen operator, its arguments by the names of its schema."""

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        self.function = function
        self.args = args
        self.kwargs = dict(kwargs)
        self.result = result
        self.name: str = function.overloadpacket.__name__

    def argument(self, name: str) -> Any:
        """The value of one argument, its default where it was left out."""
        for position, argument in enumerate(self.function._schema.arguments):
            if argument.name == name:
                if position < len(self.args):
                    return self.args[position]
                return self.kwargs.get(name, argument.default_value)
        raise LookupError(f"{self.function} has no argument {name}")

    @property
    def operands(self) -> list[Tensor]:
        """Every tensor among the arguments, lists of them included."""
        flat, _ = torch.utils._pytree.tree_flatten((self.args, self.kwargs))
        return [value for value in flat if isinstance(value, Tensor)]

    @property
    def results(self) -> list[Tensor]:
        flat, _ = torch.utils._pytree.tree_flatten(self.result)
        return [value for value in flat if isinstance(value, Tensor)]
