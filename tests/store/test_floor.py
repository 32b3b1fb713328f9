"""What cannot be is refused, and nothing that was ever measured with care."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise, Pooling
from headroom.store.default import shipped_files
from headroom.store.floor import MARGIN, floor_of, read_bytes
from headroom.store.rows import Status, System
from headroom.store.store import Store

_H200 = System("NVIDIA H200", "580.1", "13.0", "9.19.0", "13.1.0", "")


def test_no_measured_row_is_near_its_floor() -> None:
    """Of the first few thousand by digest, which is as good as by chance."""
    nearest = {"warm": 0.0, "cold": 0.0}
    for file in shipped_files():
        with Store.open(file, read_only=True) as store:
            for summary in store.systems():
                for record in islice(store.records(summary.system), 3000):
                    for l2 in nearest:
                        times = [row.median_us for row in record.timings if (row.status, row.l2) == (Status.OK, l2)]
                        fastest_us = min((time for time in times if time is not None), default=float("inf"))
                        floor = floor_of(record.chain, record.dtype, summary.system, l2)
                        nearest[l2] = max(nearest[l2], floor.us / fastest_us)
    assert all(0.3 < share < 0.95 / MARGIN for share in nearest.values()), nearest


def _chain(work: Pooling | Elementwise, read: int, written: int) -> Chain:
    images = [TensorSpec(name, (1, 1, 1024, size)) for name, size in (("x", read), ("y", written))]
    return Chain((Layer("n", "Op", work, (images[0],), (), (images[1],)),))


def test_a_cold_cache_charges_reading_from_dram_and_a_warm_one_the_caches_own_wires() -> None:
    chain = _chain(Elementwise("relu", 1 << 24), 1 << 14, 1 << 14)
    assert floor_of(chain, DataType.BF16, _H200, "cold").us == pytest.approx(2**25 / 4800e3 / MARGIN)
    assert floor_of(chain, DataType.BF16, _H200, "warm").us == pytest.approx(2**26 / 10074.8e3 / MARGIN)


def test_a_bandwidth_that_the_sheet_took_from_a_rule_refuses_nothing() -> None:
    chain = _chain(Elementwise("relu", 1 << 24), 1 << 14, 1 << 14)
    assert floor_of(chain, DataType.BF16, replace(_H200, gpu="NVIDIA L4"), "warm").us < 1.0
    assert floor_of(chain, DataType.BF16, replace(_H200, gpu="NVIDIA L4"), "cold").us > 50.0
    assert floor_of(chain, DataType.BF16, replace(_H200, gpu="NVIDIA Of Tomorrow"), "cold").us == 0.0


def test_what_a_window_steps_over_is_not_charged() -> None:
    chain = _chain(Pooling("max", 1 << 12, (1, 1), (2, 2)), 1 << 14, 1 << 12)
    assert chain.layers[0].kind is LayerKind.POOLING
    assert read_bytes(chain, DataType.BF16) == 0
