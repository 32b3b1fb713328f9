"""The manual page of the model is what the benchmark generates, and its charts are safe to open."""

from __future__ import annotations

import doctest
import xml.etree.ElementTree as ET

import delta_paper
from delta_study import charts, pages

CONTENT = pages.result()


def test_the_page_s_tables_are_current() -> None:
    page = delta_paper.PAGE.read_text("utf-8")

    assert page == delta_paper.page_with(pages.markdown(CONTENT), page), "run python benchmarks/delta_paper.py"


def test_the_charts_are_current_small_and_readable_in_the_dark() -> None:
    for name, svg in pages.chart_files(CONTENT).items():
        assert (delta_paper.CHARTS / name).read_text("utf-8") == svg, "run python benchmarks/delta_paper.py"
        assert len(svg) < 40_000
        assert "prefers-color-scheme:dark" in svg
        ET.fromstring(svg)
        assert name in delta_paper.PAGE.read_text("utf-8")


def test_the_page_s_example_runs() -> None:
    failed, tried = doctest.testfile(str(delta_paper.PAGE), module_relative=False, encoding="utf-8")

    assert tried
    assert not failed


def test_every_layer_of_the_four_networks_is_in_the_result() -> None:
    assert {gpu: len(rows) for gpu, rows in CONTENT["layers"].items()} == {"TITAN Xp": 83, "P100": 83, "V100": 83}


def test_names_in_charts_are_escaped() -> None:
    svg = charts.dots("a <b>", ["<x>"], {"s & t": [1.0]}, unit="B", log=True)

    assert "<b>" not in svg
    ET.fromstring(svg)
