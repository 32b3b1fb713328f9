"""What ``ncu`` prints becomes numbers, or one sentence."""

from __future__ import annotations

import pytest

from headroom.measure.counters.metrics import DRAM_BYTES, KernelCounts, counters_of
from headroom.measure.counters.parse import CountersError, parse
from headroom.store.rows import Implementation
from measure_counters import recorded

ANY = Implementation("cudnn", "eng1")


def test_kernels_come_in_order_with_their_counters() -> None:
    kernels = parse(recorded.TWO_LAYERS)
    assert [kernel.name.rpartition("_")[2][:6] for kernel in kernels] == ["kernel", "sm80", "kernel", "void c", "gemm"]
    assert kernels[1].values[DRAM_BYTES] == 2359296.0


def test_units_with_prefixes_are_told_apart() -> None:
    table = recorded.TWO_LAYERS.replace(recorded.UNITS, recorded.UNITS.replace('"byte","ns"', '"Mbyte","us"'))
    small = table.replace('"2,359,296"', '"2.359296"')
    assert parse(small)[1].values[DRAM_BYTES] == pytest.approx(2359296.0)


def test_a_layer_has_the_traffic_of_all_its_kernels_and_the_waves_of_the_longest() -> None:
    kernels = parse(recorded.TWO_LAYERS)[3:]
    counters = counters_of(ANY, kernels)
    assert counters is not None
    assert counters.dram_bytes == 2605632.0
    assert counters.l2_bytes == 8211264.0
    assert counters.l1_bytes == 12211264.0
    assert counters.waves == 1.48
    assert counters.occupancy == pytest.approx(0.25)


def test_a_metric_that_the_gpu_lacks_is_no_zero() -> None:
    lacking = recorded.TWO_LAYERS.replace('"9,000,000"', '"n/a"')
    assert counters_of(ANY, parse(lacking)[3:]) is None
    assert counters_of(ANY, [KernelCounts("k", {})]) is None
    assert counters_of(ANY, []) is None


def test_a_missing_privilege_is_one_sentence_that_says_what_to_do() -> None:
    with pytest.raises(CountersError, match="NVreg_RestrictProfilingToAdminUsers") as caught:
        parse(recorded.NO_PRIVILEGE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("==ERROR== Cuda driver is not compatible with Nsight Compute.", "Nsight Compute made for it"),
        ("==ERROR== Failed to find metric dram__bytes.sum", "Failed to find metric"),
        ("==WARNING== No kernels were profiled.", "printed no counters"),
        ("", "printed no counters"),
        (recorded.HEAD, "printed no counters"),
    ],
)
def test_whatever_stops_it_is_told(printed: str, said: str) -> None:
    with pytest.raises(CountersError, match=said):
        parse(printed)
