"""Tables 4 and 5 of the tail-effect paper beside predictions: the page is what its rows make."""

from __future__ import annotations

import pytest

from tail_effect_tables import PAGE, ROWS, page, rows_in


def test_the_page_is_the_one_that_the_rows_make() -> None:
    assert PAGE.read_text("utf-8") == page(rows_in())


def test_every_printed_network_is_predicted_and_none_grows_slower() -> None:
    found = rows_in()
    assert [(each["table"], each["gpu"], each["network"]) for each in found] == [
        (row.table, row.gpu, row.network) for row in ROWS
    ]
    for each in found:
        assert 0 < each["after_ms"] < each["before_ms"]
        assert each["after_m"] < 15


def test_the_nano_s_batch_follows_from_its_printed_rates() -> None:
    """FLOP/s times time over the multiply-adds of Table 2."""
    for rate_g, time_ms, macs_m in ((35.5, 60.5, 67.0), (25.6, 82.1, 65.9)):
        assert rate_g * time_ms / macs_m == pytest.approx(32, rel=0.01)
    assert {row.batch for row in ROWS if row.gpu == "jetson-nano"} == {32}
