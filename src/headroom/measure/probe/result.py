"""What a probe found: figures, curves, and what could not be measured and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from headroom.measure.probe.curve import Curve

#: How a figure came about that nothing had to measure.
TOLD_BY_DRIVER = "told by the driver"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. ``name`` is the sheet's field where it has one; ``how`` says what measured it, in a few words.

    ``clock_mhz`` is the SM clock while it was measured, where that was counted.
    """

    name: str
    value: float
    unit: str
    how: str
    clock_mhz: float | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What one experiment adds."""

    figures: tuple[Figure, ...] = ()
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True)
class Probe:
    """The whole of it. ``gpu`` is the driver's name, ``date`` ISO 8601, ``failures`` a reason per experiment."""

    gpu: str
    driver: str
    date: str
    compute_capability: str
    quick: bool
    figures: tuple[Figure, ...]
    curves: tuple[Curve, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def values(self) -> dict[str, float]:
        return {figure.name: figure.value for figure in self.figures}

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Probe:
        figures = tuple(Figure(**figure) for figure in data["figures"])
        curves = tuple(Curve.from_json(curve) for curve in data["curves"])
        return cls(**{**data, "figures": figures, "curves": curves})
