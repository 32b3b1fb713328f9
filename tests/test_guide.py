"""The guide "My model is slow": its figures are those of the script, and what its prose says of them is so."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from guide_page import PAGE, PARTS, filled
from record import RESULTS


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / "guide.json").read_text("utf-8"))
    return document


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def test_the_page_shows_what_the_script_wrote(page: str, results: dict[str, Any]) -> None:
    assert filled(page, results) == page, "run `python benchmarks/guide.py`"


def test_nobody_typed_a_measured_figure(page: str) -> None:
    prose = re.sub(r"<!-- figures: .*?<!-- end of figures -->", "", page, flags=re.DOTALL)
    assert re.findall(r"\d[\d.,]* ?(?:[nµm]s\b|%|×)", prose) == []


def test_every_part_of_the_guide_is_used(page: str) -> None:
    assert set(re.findall(r"<!-- figures: [\w-]+\.([\w-]+) -->", page)) == set(PARTS)


def test_a_mark_that_names_no_walk_is_an_error(results: dict[str, Any]) -> None:
    with pytest.raises(KeyError):
        filled("<!-- figures: nothing.steps -->\n<!-- end of figures -->", results)


def test_all_eight_questions_are_answered_for_both_models(results: dict[str, Any]) -> None:
    for key in ("resnet50", "vit"):
        questions = results["walks"][key]["runs"][0]["questions"]
        assert [question["number"] for question in questions] == list(range(1, 9))


def test_single_resnet_images_lose_their_time_between_the_layers(results: dict[str, Any]) -> None:
    run = results["walks"]["resnet50"]["runs"][0]
    assert run["busy_us"] < 0.5 * run["latency_us"]
    assert any("CUDA graph" in finding["action"] for finding in run["findings"][:2])
    between_us = run["waterfall"][0]["left_us"] - run["waterfall"][1]["left_us"]
    assert between_us > 0.5 * (run["waterfall"][0]["left_us"] - run["waterfall"][-1]["left_us"])


def test_with_32_images_the_host_keeps_up(results: dict[str, Any]) -> None:
    run = results["walks"]["resnet50-32"]["runs"][0]
    assert run["busy_us"] > 0.8 * run["latency_us"]


def test_bf16_alone_makes_the_transformer_wait_for_the_host_and_a_graph_ends_that(results: dict[str, Any]) -> None:
    default, bf16, graph = results["walks"]["vit"]["runs"]
    assert bf16["busy_us"] < 0.5 * default["busy_us"]
    assert bf16["latency_us"] > 0.9 * default["latency_us"]
    assert graph["latency_us"] < 1.2 * graph["busy_us"]


def test_a_batch_of_the_transformer_asks_for_tensor_cores_first(results: dict[str, Any]) -> None:
    run = results["walks"]["vit-32"]["runs"][0]
    assert run["dtype"] == "fp32"
    assert run["findings"][0]["question"] == 6
    assert run["busy_us"] > 0.9 * run["latency_us"]


def test_every_run_is_above_its_bound(results: dict[str, Any]) -> None:
    for walk in results["walks"].values():
        assert all(run["latency_us"] > run["bounds"]["fused"] for run in walk["runs"])
        assert all(run["latency_us"] > run["fused_us"] for run in walk["stored"])
