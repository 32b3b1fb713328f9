"""EfficientNet as published, and its scaling at equal latency: rehearsed, resumed, and the page."""

from __future__ import annotations

from pathlib import Path

import pytest

import efficientnet_scaling
from efficientnet import SIZES, efficientnet
from efficientnet_scaling import NAME, PAGE, fronts, measure, page, rows_in
from record import RESULTS
from trained_networks import macs_and_parameters


@pytest.mark.parametrize(("base", "parameters", "macs_m"), [("b0", 5_288_548, 386), ("b1", 7_794_184, 688)])
def test_the_networks_are_the_published_ones(base: str, parameters: int, macs_m: float) -> None:
    side = 240 if base == "b1" else 224
    macs, found = macs_and_parameters(efficientnet(SIZES[base]), (3, side, side))
    assert found == parameters
    assert macs / 1e6 == pytest.approx(macs_m, rel=0.02)


def test_the_third_has_its_published_parameters() -> None:
    assert sum(each.numel() for each in efficientnet(SIZES["b2"]).parameters()) == 9_109_994


def test_a_rehearsal_is_resumed_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_scaling, "TURN_S", 0.0)
    assert measure(tmp_path, 0.0, rehearsal=True) == 6
    monkeypatch.setattr(efficientnet_scaling, "PAPER", {"b0": 6.7})
    assert measure(tmp_path, 600.0, rehearsal=True) == 0
    first = (tmp_path / NAME).read_text()
    assert measure(tmp_path, 600.0, rehearsal=True) == 0
    assert (tmp_path / NAME).read_text() == first
    assert [row["width"] for row in rows_in(tmp_path / NAME)] == [1.0, 1.25]


def row(width: float, resolution: int, of_published: float, macs: int, parameters: int) -> dict[str, object]:
    about = {"base": "b0", "machine": "GPU", "torch": "2", "date": "today"}
    size = {"width": width, "resolution": resolution, "macs": macs, "parameters": parameters}
    return {**about, **size, "eager_us": 1000.0 * of_published, "eager_of_published": of_published}


def test_the_page_shows_what_takes_no_longer_than_the_published_network() -> None:
    rows = [row(1.0, 224, 1.0, 100, 10), row(2.0, 288, 1.008, 700, 40), row(3.0, 336, 1.3, 2000, 90)]
    ((_, own, front),) = fronts(rows, "eager")
    assert (own.width, [each.width for each in front]) == (1.0, [2.0])
    assert "| EfficientNet-B0 | 2 | 288 | 7.0x | 4.0x | +0.8 % | 6.7x |" in page(rows)


def test_the_published_page_is_the_one_that_the_rows_make() -> None:
    assert PAGE.read_text("utf-8") == page(rows_in(RESULTS / NAME))
