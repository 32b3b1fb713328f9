"""What is to be counted: implementations of chains, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store.rows import Counters, Implementation


@dataclass(frozen=True)
class Subject:
    """An implementation of a chain in one data type."""

    chain: Chain
    dtype: DataType
    implementation: Implementation

    def to_json(self) -> dict[str, Any]:
        return {
            "chain": self.chain.to_json(),
            "dtype": str(self.dtype),
            "implementation": asdict(self.implementation),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Subject:
        return cls(Chain.from_json(data["chain"]), DataType(data["dtype"]), Implementation(**data["implementation"]))


@dataclass(frozen=True)
class Counted:
    """What came of a subject: counters, or the reason why there are none; and the names of the kernels that ran."""

    subject: Subject
    counters: Counters | None
    reason: str = ""
    kernels: tuple[str, ...] = ()
