"""The plan of a packed network: data alone, for reports, for files, and for whoever applies it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headroom.change.fission.choose import Option


class Goal(StrEnum):
    """What is made small."""

    TIME = "time"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer and what could become of it.

    Attributes:
        name: the module's dotted path.
        kind: ``linear`` or ``conv2d``.
        weights: how many.
        dense_bytes: of its weight in the plan's data type.
        held_bytes: of these, what goes when the layer is packed: none where another layer owns the weight too.
        time_us: what it takes as it is, all calls together, by the theory or as measured; ``None`` if unknown.
        error_pct: the error bar of every time of this layer.
        options: the formats looked at.
        chosen: the format's name; ``None`` leaves the layer as it is.
        predicted_us: where times are measured, what the theory says of the layer as it is.
    """

    name: str
    kind: str
    weights: int
    dense_bytes: int
    held_bytes: int
    time_us: float | None
    error_pct: float | None
    options: tuple[Option, ...]
    chosen: str | None = None
    predicted_us: float | None = None

    @property
    def option(self) -> Option | None:
        """The chosen one."""
        return next((option for option in self.options if option.form == self.chosen), None)

    @property
    def bytes_after(self) -> int:
        return self.held_bytes if self.option is None else self.option.bytes

    @property
    def time_after_us(self) -> float | None:
        return self.time_us if self.option is None or self.option.time_us is None else self.option.time_us


@dataclass(frozen=True)
class PackPlan:
    """A network's plan.

    Attributes:
        goal: what was made small.
        budget: of the relative error of the network's outputs.
        output_error: what it is with the plan, on the calibration data; measured, not added up.
        predicted_error: what the layers' errors add up to.
        quality: the user's metric before and after; ``None`` without one.
        max_loss: how much of it might go.
        total_us: the whole network as it is, by the theory, but for layers that were measured.
        left_out: linear layers and convolutions that could not be packed, and why.
    """

    model: str
    gpu: str
    dtype: str
    batch: int
    l2: str
    goal: Goal
    budget: float
    layers: tuple[LayerPlan, ...]
    output_error: float
    predicted_error: float
    calibration: str
    total_us: float
    quality: tuple[float, float] | None = None
    max_loss: float | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether times of layers are those of a GPU."""
        return any(layer.predicted_us is not None for layer in self.layers)

    @property
    def forms(self) -> dict[str, str]:
        """The format of every layer that is packed."""
        return {layer.name: layer.chosen for layer in self.layers if layer.chosen is not None}

    @property
    def bytes(self) -> tuple[int, int]:
        """Weights that the layers alone hold, before and after."""
        return sum(layer.held_bytes for layer in self.layers), sum(layer.bytes_after for layer in self.layers)

    @property
    def saves_us(self) -> float:
        return sum((layer.time_us or 0.0) - (layer.time_after_us or 0.0) for layer in self.layers)

    @property
    def error_pct(self) -> float:
        """The error bar of ``saves_us``: its layers' bars, weighted by what each saves, as they err together."""
        saved = [
            ((layer.time_us or 0.0) - (layer.time_after_us or 0.0), layer.error_pct or 0.0) for layer in self.layers
        ]
        return sum(us * bar for us, bar in saved) / self.saves_us if self.saves_us else 0.0
