"""The page about the shipped measurements is what the recorded figures say, and tells the file that ships."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def test_the_page_and_the_provenance_are_those_of_the_file_that_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import shipped_page

    contents, cases = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("h200_database", "shipped"))
    assert contents["bytes"] == shipped_page.DATABASE.stat().st_size < 10e6
    assert (ROOT / "docs" / "shipped.md").read_text("utf-8") == shipped_page.text(contents, cases["cases"])
