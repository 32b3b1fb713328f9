"""The JSON answer keeps its contract."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headroom.advise.analysis import Analysis
from headroom.predict.prediction import Bottleneck, Prediction, Source
from headroom.report.answer import to_dict, to_json
from headroom.report.published import schema
from report.factory import LONG, MARKUP, make_analysis

GOLDEN = Path(__file__).parent / "golden" / "answer.json"

#: The keys that the command line's contract names.
CONTRACT = {
    "": "model gpu system batch dtype l2 layers bounds findings coverage measured_us memory_bytes verdict "
    "headroom_version schema_version",
    "layers": "name kind module count macs flops bytes time_us source error_pct bottleneck l1_bytes l2_bytes "
    "dram_bytes implementation",
    "bounds": "sequential_us sequential_us_error_pct parallel_us parallel_us_error_pct fused_us fused_us_error_pct "
    "speed_of_light_us speed_of_light_us_error_pct",
    "findings": "kind saves_us error_pct speedup layers modules action",
    "coverage": "known_share known_macs_share unknown_layers",
    "memory_bytes": "weights peak_activations",
}


def small_analysis() -> Analysis:
    """Few layers, among them an unknown one and one with a stranger's name: short enough to read as a file."""
    whole = make_analysis()
    stranger = next(a for a in whole.answers if a.layer.name == MARKUP)
    findings = tuple(replace(f, layers=f.layers[:3], modules=f.modules[:3]) for f in whole.findings)
    answers = (*whole.answers[:3], stranger, whole.answers[-1])
    return replace(whole, model="googlenet", answers=answers, findings=findings, schedule=())


def _values(document: Any) -> Iterator[Any]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from _values(value)
    elif isinstance(document, list):
        for value in document:
            yield from _values(value)
    else:
        yield document


@pytest.mark.parametrize("part", list(CONTRACT))
def test_every_key_of_the_contract_is_there(part: str) -> None:
    answer = to_dict(make_analysis())
    place = answer[part] if part else answer
    assert set(CONTRACT[part].split()) <= set(place[0] if isinstance(place, list) else place)


def test_the_answer_follows_the_published_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    assert list(validator.iter_errors(to_dict(make_analysis()))) == []
    assert list(validator.iter_errors(json.loads(to_json([make_analysis(), make_analysis(8)])))) == []


def test_the_schema_describes_every_key_that_is_written() -> None:
    answer, definitions = to_dict(make_analysis()), schema()["$defs"]
    assert set(answer) == set(definitions["answer"]["properties"])
    assert set(answer["layers"][0]) == set(definitions["layer"]["properties"])
    assert set(answer["findings"][0]) == set(definitions["finding"]["properties"])
    for part in ("bounds", "coverage", "memory_bytes"):
        assert set(answer[part]) == set(definitions["answer"]["properties"][part]["properties"])


def test_the_same_analysis_gives_the_same_bytes() -> None:
    assert to_json([make_analysis()]) == to_json([make_analysis()])


def test_the_answer_is_the_golden_file() -> None:
    answer = json.loads(to_json([small_analysis()]))
    answer["headroom_version"] = "any"
    assert answer == json.loads(GOLDEN.read_text("utf-8")), "regenerate with `python -m report.test_answer` in tests/"


def test_one_answer_is_an_object_and_several_are_a_list() -> None:
    assert json.loads(to_json([small_analysis()]))["batch"] == 1
    assert [answer["batch"] for answer in json.loads(to_json([make_analysis(1), make_analysis(4)]))] == [1, 4]


def test_figures_are_for_one_occurrence_and_count_says_how_many() -> None:
    analysis = make_analysis(hostile=False)
    rows = to_dict(analysis)["layers"]
    total_us = sum(row["time_us"] * row["count"] for row in rows)
    assert total_us == pytest.approx(analysis.bounds.sequential_us, rel=1e-5)
    assert all(len(row["names"]) == len(row["modules"]) == row["count"] for row in rows)


def test_an_unknown_layer_has_no_time_and_is_called_unknown() -> None:
    answer = to_dict(make_analysis())
    row = next(row for row in answer["layers"] if row["kind"] == "unknown")
    assert (row["time_us"], row["error_pct"], row["source"], row["bottleneck"]) == (None, None, "unknown", "unknown")
    assert answer["coverage"]["unknown_layers"] == ["mystery<b>"]
    assert answer["bounds"]["unknown_share"] > 0


def test_no_text_carries_control_characters_and_long_names_are_whole() -> None:
    answer = to_dict(make_analysis())
    for value in _values(answer):
        if isinstance(value, str):
            assert not {unicodedata.category(c) for c in set(value)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert answer["model"] == LONG


def test_a_figure_that_is_not_finite_becomes_null() -> None:
    analysis = small_analysis()
    broken = Prediction(math.inf, math.nan, Source.PREDICTED, Bottleneck.DRAM, math.nan, l1_bytes=math.inf)
    answer = replace(analysis.answers[0], prediction=broken)
    text = to_json([replace(analysis, answers=(answer,), time_by_kind={"a": math.nan})])
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["layers"][0]["time_us"] is None


def test_a_total_is_only_as_trusted_as_its_least_trusted_layer() -> None:
    analysis = small_analysis()
    measured = tuple(replace(a, prediction=replace(a.prediction, source=Source.MEASURED)) for a in analysis.answers[:2])
    assert to_dict(replace(analysis, answers=measured))["bounds"]["source"] == "measured"
    mixed = (*measured, analysis.answers[2])
    assert to_dict(replace(analysis, answers=mixed))["bounds"]["source"] == "predicted"


def test_two_modules_that_clean_to_one_name_keep_both_times() -> None:
    analysis = replace(small_analysis(), time_by_module={"a\x1b[1m": 2.0, "a": 3.0, "b": 4.0})
    assert to_dict(analysis)["time_by_module"] == {"a": 5.0, "b": 4.0}


def write_golden() -> None:
    answer = json.loads(to_json([small_analysis()])) | {"headroom_version": "any"}
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    write_golden()
