"""What a worker is asked to measure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.rows import Implementation


@dataclass(frozen=True)
class Task:
    """A chain of layers in one data type.

    ``plans`` is one of :data:`~headroom.store.rows.PLANS`. ``only`` are the ones that are tried of ``likely`` plans;
    where none of them has a time, all are. ``layouts`` are the tensor orders to try where there are any.
    """

    chain: Chain
    dtype: DataType
    plans: str = "all"
    l2_states: tuple[str, ...] = ("warm", "cold")
    layouts: tuple[str, ...] = ("nhwc", "nchw")
    only: tuple[Implementation, ...] = ()

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
            tuple(Implementation(**each) for each in data.get("only", ())),
        )
