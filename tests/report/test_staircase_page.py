"""A staircase as people read it: in words, and as a page in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import headroom as hr
from headroom.report.html.staircase import _charts
from headroom.report.staircase_words import HEADS, rows, stands, summary, title

CHROMIUM = Path("/usr/bin/chromium")
CONV = "c=512,h=64,w=64,k=64:512"


@pytest.fixture(scope="module")
def study() -> hr.Study:
    return hr.staircase(conv=CONV, gpu="h200", source="predicted")


def test_every_interval_is_a_row_and_every_jump_is_in_it(study: hr.Study) -> None:
    (each,) = study.layers
    (reading,) = each.readings
    shown = rows(reading)
    assert len(shown) == len(reading.intervals)
    assert {len(row) for row in shown} == {len(HEADS)}
    steps = HEADS.index("step")
    assert sum(bool(row[steps]) for row in shown) == len(reading.steps)
    assert title(each, reading) == "convolution, 512 inputs"
    assert len(summary(reading)) == 3


def test_where_a_layer_stands_is_said_with_the_best_wider_one() -> None:
    """A layer just behind an edge is told the edge before which it could be as fast."""
    import torch

    graph = hr.load(torch.nn.Sequential(torch.nn.Conv2d(512, 136, 3, padding=1)), torch.zeros(1, 512, 64, 64))
    study = hr.staircase(graph, "h200", widths="64:512", source="predicted", dtype="bf16")
    (each,) = study.layers
    sentence = stands(each, each.readings[0])
    assert re.fullmatch(r"At its width of 136 it takes .*; at \d+ it would take no longer\.", sentence)


def test_where_nothing_wider_was_looked_at_nothing_is_said_of_it(study: hr.Study) -> None:
    (each,) = study.layers
    assert stands(each, each.readings[0]) == ""


def test_equally_wide_stairs_are_equally_wide_on_the_page(study: hr.Study) -> None:
    """Eight times as wide is many stairs, not three doublings."""
    (each,) = study.layers
    for chart in _charts(each.readings[0]):
        places = [point.x for point in max((curve.points for curve in chart.curves), key=len)]
        assert np.diff(places) == pytest.approx(np.diff(places).mean())


def test_the_page_draws_its_curves_and_asks_the_network_for_nothing(study: hr.Study, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    path = study.to_html(tmp_path / "stairs.html")
    complaints: list[str] = []
    requests: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        marks = page.locator("#s0-latency circle.mark")
        assert marks.count() == 57 + len(study.layers[0].readings[0].dominating)
        page.locator("#s0-latency [data-chart]").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#tip").is_visible()
        browser.close()
    assert complaints == []
    assert requests == [path.as_uri()]
