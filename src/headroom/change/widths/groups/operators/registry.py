"""The table of operators: which function follows channels through which ATen operator."""

from __future__ import annotations

from collections.abc import Callable

import torch

from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.trace import Rule

_RULES: dict[str, Rule] = {}


def follows(*names: str) -> Callable[[Rule], Rule]:
    """Register the decorated function for these operators, named without namespace and overload."""

    def register(rule: Rule) -> Rule:
        for name in names:
            if name in _RULES:
                raise ValueError(f"two functions claim the operator {name}")
            _RULES[name] = rule
        return rule

    return register


def rule_of(call: Call) -> Rule | None:
    """The rule of one call. Every operator that PyTorch calls pointwise has one; writing in place changes nothing."""
    name = call.name
    found = _RULES.get(name) or (_RULES.get(name[:-1]) if name.endswith("_") else None)
    if found is None and torch.Tag.pointwise in call.function.tags:
        return _RULES["pointwise"]
    return found
