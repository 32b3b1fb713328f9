"""What is asked of the worker: one network, at one batch, in one data type, in some modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headroom.graph.tensor import DataType
from headroom.graph.torch.callable import is_callable_address
from headroom.measure.networks.modes import in_running_order
from headroom.text import plain_line

#: The energy counter moves every tenth of a second or so: over a second it is read within a few per cent.
ENERGY_SECONDS = 1.0


@dataclass(frozen=True)
class Request:
    """A network to run.

    Args:
        model: ``package.module:callable`` or the path of an ``.onnx`` file.
        batch: samples per inference; the model's own where ``None``.
        dims: values for the symbolic dimensions of an ONNX file.
        modes: names from :data:`headroom.measure.networks.modes.MODES`.
        energy_seconds: how long each mode runs for its energy; 0 leaves the energy out.

    Raises:
        UsageError: a mode is unknown.
    """

    model: str
    dtype: DataType
    modes: tuple[str, ...]
    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    energy_seconds: float = ENERGY_SECONDS

    def __post_init__(self) -> None:
        in_running_order(self.modes)

    @property
    def name(self) -> str:
        """What rows call the model, as an analysis does: they travel, and where a file lay says nothing elsewhere."""
        return self.model if is_callable_address(self.model) else plain_line(Path(self.model).stem)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "dtype": str(self.dtype), "modes": list(self.modes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        fields = {**data, "dtype": DataType(data["dtype"]), "modes": tuple(data["modes"])}
        return cls(**fields)
