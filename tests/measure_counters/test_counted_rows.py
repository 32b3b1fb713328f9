"""What ``ncu`` counted on an H200 is what the layers' sizes and the recorded launches say it must be."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest

from headroom.store.imported import JsonSource
from headroom.store.record import ChainRecord
from headroom.store.rows import Kernel

ROWS = Path(__file__).resolve().parents[1] / "rows" / "h200_resnet18_counted.json"

SMS = 132

#: Warps, and CTAs, that an SM has room for.
MOST_WARPS, MOST_CTAS = 64, 32

#: ``ncu`` prints waves with two digits behind the point.
ROUNDED = 0.0051

RECORDS = list(JsonSource(ROWS).records())


def kernel_of(record: ChainRecord) -> Kernel:
    """The only launch of the implementation that was counted."""
    (counters,) = record.counters
    (kernels,) = {timing.kernels for timing in record.timings if timing.implementation == counters.implementation}
    (kernel,) = kernels
    return kernel


def ctas_per_sm(record: ChainRecord) -> list[int]:
    """How many CTAs an SM may have held for the counted waves to be those of the recorded grid."""
    (counters,) = record.counters
    ctas = prod(kernel_of(record).grid)
    return [n for n in range(1, MOST_CTAS + 1) if abs(ctas / (SMS * n) - counters.waves) <= ROUNDED]


def test_twelve_layers_were_counted() -> None:
    assert len(RECORDS) == 12


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.chain.digest[:8])
def test_from_empty_caches_dram_sends_what_the_layer_reads_and_little_more(record: ChainRecord) -> None:
    """Outputs are left in L2 when the kernel ends."""
    (counters,) = record.counters
    read = record.chain.anchor.bytes_read(record.dtype)
    assert read <= counters.dram_bytes <= 1.15 * read
    assert counters.dram_bytes < counters.l2_bytes


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.chain.digest[:8])
def test_waves_are_those_of_the_grid_that_was_timed(record: ChainRecord) -> None:
    assert ctas_per_sm(record)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.chain.digest[:8])
def test_no_more_warps_are_in_flight_than_those_ctas_have(record: ChainRecord) -> None:
    (counters,) = record.counters
    kernel = kernel_of(record)
    warps = min(MOST_WARPS, prod(kernel.block) // 32 * max(ctas_per_sm(record)))
    assert 0 < counters.occupancy <= warps / MOST_WARPS


def test_kernels_that_copy_asynchronously_pass_by_the_l1_counter_and_all_others_do_not() -> None:
    by_l1 = {kernel_of(record).name.startswith("sm90_"): [] for record in RECORDS}
    for record in RECORDS:
        (counters,) = record.counters
        share = counters.l1_bytes / record.chain.anchor.bytes(record.dtype)
        by_l1[kernel_of(record).name.startswith("sm90_")].append(share)
    assert max(by_l1[True]) < 0.01
    assert min(by_l1[False]) > 1.0
