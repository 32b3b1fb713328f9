"""What a worker is asked to measure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType


@dataclass(frozen=True)
class Task:
    """A chain of layers in one data type.

    ``plans`` says which implementations are tried: those that the libraries' heuristics propose first
    (``heuristic``), or every one they list (``all``). ``layouts`` are the tensor orders to try where there are any.
    """

    chain: Chain
    dtype: DataType
    plans: str = "all"
    l2_states: tuple[str, ...] = ("warm", "cold")
    layouts: tuple[str, ...] = ("nhwc", "nchw")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "chain": self.chain.to_json(), "dtype": str(self.dtype)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Task:
        return cls(
            Chain.from_json(data["chain"]),
            DataType(data["dtype"]),
            data["plans"],
            tuple(data["l2_states"]),
            tuple(data["layouts"]),
        )
