"""How much longer chains take as one kernel than their first layers alone, from the chains timed on an H200.

The package's database holds the fastest implementation of every chain that a network of its plan has. Against each the
theory's time of the first layer with the chain's bytes is held; per sort of kernel, ending and data type the median
ratio of one half of the chains (chosen by a hash of the chain) is the factor. Endings that no chain has take that of
their kin.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from h200_fit import FAMILY, GPU
from h200_shipped import DATABASE, FASTEST
from headroom.advise.fusion import as_one, epilogue_us
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.fused import kin_of, ways_of
from headroom.predict.model import predict_layers

#: Chains below which a way of fusing has no factor.
FEWEST = 3


@dataclass(frozen=True)
class TimedChain:
    """One chain with its fastest time as one kernel, warm."""

    digest: str
    layers: tuple[Layer, ...]
    dtype: DataType
    measured_us: float

    @property
    def held_out(self) -> bool:
        """Half of the chains are never fitted on."""
        return zlib.crc32(self.digest.encode()) % 2 == 1


@cache
def timed_chains() -> tuple[TimedChain, ...]:
    """Every chain of more than one layer in the package's database."""
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as connection:
        rows = connection.execute(FASTEST).fetchall()
    chains = (
        TimedChain(digest, Chain.from_json(json.loads(text)).layers, DataType(dtype), float(time_us))
        for digest, text, dtype, l2, time_us in rows
        if l2 == "warm"
    )
    return tuple(chain for chain in chains if len(chain.layers) > 1)


def alone_us(chains: Sequence[TimedChain], dtype: DataType, calibration: Calibration) -> np.ndarray:
    """What the theory says of each chain's first layer with the chain's bytes, in microseconds."""
    found = predict_layers([as_one(chain.layers) for chain in chains], GPU, dtype, calibration=calibration)
    extra = [epilogue_us(chain.layers, GPU, dtype, "warm") for chain in chains]
    return np.array([answer.time_us or 0.0 for answer in found]) + np.array(extra)


def fit_fused(chains: Sequence[TimedChain], calibration: Calibration) -> dict[str, dict[str, float]]:
    """The factors by data type and way."""
    factors: dict[str, dict[str, float]] = {}
    for dtype in sorted({chain.dtype for chain in chains}):
        own = [chain for chain in chains if chain.dtype == dtype]
        ratio = np.array([chain.measured_us for chain in own]) / alone_us(own, dtype, calibration)
        ways = ways_of([chain.layers for chain in own], GPU, dtype)
        known: dict[str, list[float]] = {}
        for way, one in zip(ways, ratio.tolist(), strict=True):
            known.setdefault(way, []).append(one)
            known.setdefault(kin_of(way), []).append(one)
        factors[f"{FAMILY} {dtype}"] = {
            way: float(np.median(r)) for way, r in sorted(known.items()) if len(r) >= FEWEST
        }
    return factors


def with_fused(calibration: Calibration, chains: Sequence[TimedChain] | None = None) -> Calibration:
    """``calibration`` with the factors of ``chains``: by default those not held out."""
    rows = [chain for chain in timed_chains() if not chain.held_out] if chains is None else chains
    return replace(calibration, own_fused=fit_fused(rows, calibration))
