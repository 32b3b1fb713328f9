"""The manual's example runs, and its tables are those of the recorded results."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_on_the_page_runs():
    torch = pytest.importorskip("torch")
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "synapses.md").read_text("utf-8"), re.DOTALL)
    names: dict = {}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exec(code, names)

    smaller = names["smaller"]
    assert len(smaller[2].retained) % 32 == 0
    assert len(smaller[2].retained) < 128
    assert smaller(torch.zeros(1, 16)).shape == (1, 10)


@pytest.mark.parametrize(
    ("script", "result", "page"),
    [("synapse_accuracy", "synapse_accuracy", "synapses"), ("synapse_search", "synapse_search", "synapse-search")],
)
def test_the_page_is_what_its_script_makes_of_the_results(script, result, page):
    pytest.importorskip("torch")
    content = json.loads((ROOT / "benchmarks" / "results" / f"{result}.json").read_text("utf-8"))
    made = importlib.import_module(script if script == "synapse_search" else "synapse_page")

    text = made.page(content["rows"] if script == "synapse_search" else content)

    assert text == (ROOT / "docs" / f"{page}.md").read_text("utf-8"), f"run benchmarks/{script}.py"
