"""No figure shows more digits than its error bar justifies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headroom import figures


@pytest.mark.parametrize(
    ("time_us", "error_pct", "text"),
    [
        (1234.5, 15.0, "1.2 ms"),
        (1234.5, 5.0, "1.23 ms"),
        (1234.5, 300.0, "1 ms"),
        (999.6, 5.0, "1.00 ms"),
        (0.0451, 3.0, "45.1 ns"),
        (9.53e-6, 0.0, "9.53 ps"),
        (437.0, 12.0, "440 µs"),
        (2_500_000.0, 20.0, "2.5 s"),
        (12.34, None, "10 µs"),
        (None, None, "–"),
        (math.nan, 1.0, "–"),
        (0.0, 1.0, "0 µs"),
    ],
)
def test_a_time_reads(time_us: float | None, error_pct: float | None, text: str) -> None:
    assert figures.time(time_us, error_pct) == text


@given(st.floats(min_value=1e-7, max_value=1e12), st.floats(min_value=0, max_value=1e6))
def test_a_shown_time_is_as_near_as_its_digits_allow(time_us: float, error_pct: float) -> None:
    number, unit = figures.time(time_us, error_pct).split(" ")
    shown = float(number.replace(",", "")) * {"ps": 1e-6, "ns": 1e-3, "µs": 1.0, "ms": 1e3, "s": 1e6}[unit]
    assert shown == pytest.approx(time_us, rel=0.51 * 10.0 ** (1 - figures.justified_digits(error_pct)) + 1e-9)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.0004, "<1 %"), (0.424, "42 %"), (0.9996, ">99 %"), (1.0, "100 %")]
)
def test_a_share_is_never_rounded_to_none_or_all(share: float, text: str) -> None:
    assert figures.percent(share) == text


def test_bytes_round_up_into_the_next_unit() -> None:
    assert figures.size(999_999) == "1.00 MB"
    assert figures.size(141e9) == "141 GB"
    assert figures.size(12) == "12 B"


@given(st.floats())
def test_a_float_in_a_file_is_finite_or_absent(value: float) -> None:
    rounded = figures.rounded(value)
    assert rounded is None or math.isfinite(rounded)
    assert (rounded is None) == (not math.isfinite(value))
