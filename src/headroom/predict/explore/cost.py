"""What a design costs, by a small file of the user's own: numbers and field names, nothing that could run.

::

    name = "area"
    unit = "mm2"
    fixed = 60                                        # whatever the design
    per_unit = { dram_peak_gbs = 0.1 }                # per unit of a field
    [[term]]
    at_base = 300                                     # what it costs on the base GPU ...
    of = { sms = 1, registers_per_sm = 0.5 }          # ... growing with these fields to these powers

A term with ``per_unit`` in place of ``at_base`` counts the fields' own values: ``per_unit * value ** power``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headroom.errors import UsageError
from headroom.gpu.designs import Sheets, field_values
from headroom.gpu.schema import FIELDS
from headroom.gpu.toml_file import parse_toml, read_toml_text
from headroom.predict.explore.space import ALIASES
from headroom.text import plain_line

_KEYS = ("name", "unit", "fixed", "per_unit", "term")
_LARGEST_POWER, _LARGEST = 8.0, 1e300


@dataclass(frozen=True, slots=True)
class Term:
    """``amount`` times the product of fields to their powers: relative to the base's where ``at_base``."""

    amount: float
    powers: tuple[tuple[str, float], ...]
    at_base: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost function: ``fixed`` and the sum of its terms, in ``unit``."""

    name: str
    unit: str
    fixed: float
    terms: tuple[Term, ...]

    def of(self, sheets: Sheets) -> NDArray[np.float64]:
        """The cost of every design, shape (D,).

        Raises:
            UsageError: a field that the GPU's sheet does not have.
        """
        count = len(next(iter(sheets.columns.values())))
        total = np.full(count, self.fixed)
        base = field_values(sheets.base)
        for term in self.terms:
            product = np.full(count, term.amount)
            for name, power in term.powers:
                if name not in sheets.columns:
                    raise UsageError(f"the cost function names {name}, which {sheets.base.name} does not have")
                values = sheets.columns[name] / base[name] if term.at_base else sheets.columns[name]
                product = product * values**power
            total = total + product
        return total


def read_cost(path: Path) -> Cost:
    """The cost function in a TOML file.

    Raises:
        UsageError: it cannot be read, or is no cost function; the sentence names the key.
    """
    where = f"cost file {plain_line(str(path))}"
    return cost_of(parse_toml(read_toml_text(path, where, "a TOML file with a cost function"), where), where)


def cost_of(raw: Mapping[str, Any], where: str = "cost") -> Cost:
    """A cost function from the content of its file.

    Raises:
        UsageError: an unknown key or field, or a value that is no number.
    """
    for key in raw:
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key '{plain_line(key, 60)}'; expected {', '.join(_KEYS)}")
    per_unit = raw.get("per_unit", {})
    terms = raw.get("term", [])
    if not isinstance(per_unit, Mapping) or not isinstance(terms, list):
        raise UsageError(f"{where}: per_unit is a table of fields, and each term a [[term]] table")
    simple = [
        Term(_number(where, f"per_unit.{name}", value), ((_field(where, name), 1.0),), at_base=False)
        for name, value in _flat(per_unit)
    ]
    every = (*simple, *(_term(where, term) for term in terms))
    fixed = _number(where, "fixed", raw.get("fixed", 0.0))
    if not every and not fixed:
        raise UsageError(f"{where}: it costs nothing; give fixed, per_unit or a [[term]]")
    return Cost(_text(where, "name", raw.get("name", "cost")), _text(where, "unit", raw.get("unit", "")), fixed, every)


def _term(where: str, raw: object) -> Term:
    if not isinstance(raw, Mapping) or set(raw) not in ({"at_base", "of"}, {"per_unit", "of"}):
        raise UsageError(f"{where}: a [[term]] has at_base or per_unit, and of = {{ FIELD = POWER }}, nothing else")
    powers = raw["of"]
    if not isinstance(powers, Mapping) or not powers:
        raise UsageError(f"{where}: of names fields and their powers, for example of = {{ sms = 1 }}")
    at_base = "at_base" in raw
    amount = _number(where, "at_base" if at_base else "per_unit", raw["at_base" if at_base else "per_unit"])
    return Term(amount, tuple((_field(where, n), _power(where, n, p)) for n, p in _flat(powers)), at_base)


def _flat(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Fields of a table; TOML makes a table of its own from ``plain_tflops.fp32 = 1``."""
    flat: list[tuple[str, Any]] = []
    for name, value in table.items():
        flat += [(f"{name}.{part}", v) for part, v in value.items()] if isinstance(value, Mapping) else [(name, value)]
    return flat


def _field(where: str, name: str) -> str:
    field = ALIASES.get(name, name)
    if field not in FIELDS:
        raise UsageError(f"{where}: unknown field '{plain_line(name, 60)}'; headroom gpus show lists the fields")
    return field


def _power(where: str, name: str, value: object) -> float:
    power = _number(where, f"the power of {name}", value)
    if abs(power) > _LARGEST_POWER:
        raise UsageError(
            f"{where}: the power of {name} is {power:g}; expected -{_LARGEST_POWER:g} to {_LARGEST_POWER:g}"
        )
    return power


def _number(where: str, key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        raise UsageError(f"{where}: {plain_line(key, 60)} is no number; expected one")
    return float(value)


def _text(where: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 60:
        raise UsageError(f"{where}: {key} is no short text; expected one such as 'area'")
    return value
