"""Measured times for tests: rows of one H200, given by what was timed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from headroom.advise.measurements import OtherSystem
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.store.rows import Counters, Implementation, NetworkTiming, Status, System, Timing

SYSTEM = System("NVIDIA H200", "580.159.04", "13.0", "9.19.0", "13.1.0", "2.11.0")
PLAN = Implementation("cudnn", "eng22_k2=5_k13=1", "nhwc")


def row(median_us: float | None, iqr_us: float | None = 0.1, **changes: object) -> Timing:
    """An ``ok`` row of twelve samples, timed with a warm L2, unless told otherwise."""
    values: dict[str, object] = {
        "implementation": PLAN, "l2": "warm", "status": Status.OK, "median_us": median_us, "iqr_us": iqr_us,
        "samples": 12, "measured_at": "2026-11-21T12:00:00Z",
    }  # fmt: skip
    return Timing(**(values | changes))  # type: ignore[arg-type]


def run(mode: str, median_us: float | None, graph: str = "", **changes: object) -> NetworkTiming:
    """A whole network at batch 1 in bf16 as a framework runs it."""
    values: dict[str, object] = {
        "graph": graph, "model": "net", "batch": 1, "dtype": DataType.BF16, "mode": mode, "status": Status.OK,
        "median_us": median_us, "iqr_us": 1.0, "samples": 20,
    }  # fmt: skip
    return NetworkTiming(**(values | changes))  # type: ignore[arg-type]


@dataclass
class Rows:
    """Measurements from a dictionary: ``timings`` by the digest of what was timed, ``runs`` of any graph."""

    timings: Mapping[str, Timing] = field(default_factory=dict)
    runs: Sequence[NetworkTiming] = ()
    system: System = SYSTEM
    others: Sequence[OtherSystem] = ()
    asked: int = 0
    others_tried: Mapping[str, Sequence[Timing]] = field(default_factory=dict)
    counted: Mapping[str, Sequence[Counters]] = field(default_factory=dict)

    def best(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Timing]:
        self.asked += 1
        return {chain.digest: self.timings[chain.digest] for chain in chains if chain.digest in self.timings}

    def tried(self, chains: Iterable[Chain], dtype: DataType, l2: str) -> Mapping[str, Sequence[Timing]]:
        digests = [chain.digest for chain in chains]
        found = {
            digest: [*self.others_tried.get(digest, ()), *filter(None, [self.timings.get(digest)])]
            for digest in digests
        }
        return {digest: sorted(rows, key=lambda row: row.median_us or 1e9) for digest, rows in found.items() if rows}

    def counters(self, chains: Iterable[Chain], dtype: DataType) -> Mapping[str, Sequence[Counters]]:
        return {chain.digest: self.counted[chain.digest] for chain in chains if chain.digest in self.counted}

    def networks(self, graph: str) -> Sequence[NetworkTiming]:
        return self.runs


def timings(*pairs: tuple[Sequence[Layer], Timing]) -> dict[str, Timing]:
    """Rows by digest, from (layers of a chain, row)."""
    return {Chain.of(layers).digest: timing for layers, timing in pairs}
