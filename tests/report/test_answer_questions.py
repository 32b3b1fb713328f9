"""The JSON answer holds what the advisor's pages show."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema

from headroom.report.answer import to_dict, to_json
from headroom.report.published import schema
from report.asked import GRAPH, asked_analysis, profiled_analysis


def test_answers_with_questions_follow_the_published_schema() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    assert list(validator.iter_errors(json.loads(to_json([asked_analysis()])))) == []


def test_every_question_stands_with_its_findings_tables_and_charts() -> None:
    questions = to_dict(asked_analysis())["questions"]
    assert [question["number"] for question in questions] == list(range(1, 9))
    assert [finding["saves_us"] for finding in questions[3]["findings"]] == [1968.0, 212.0]
    assert questions[0]["tables"][0]["rows"][3] == ["fp8", None, None, None, None]
    assert [chart["kind"] for chart in questions[6]["charts"]] == ["waterfall", "lines"]
    assert questions[6]["charts"][0]["steps"][0] == {"name": "your run", "left_us": 2918.0}


def test_the_schema_describes_every_key_of_a_question() -> None:
    questions, definitions = to_dict(asked_analysis())["questions"], schema()["$defs"]
    assert set(questions[0]) == set(definitions["question"]["properties"])
    assert set(questions[0]["tables"][0]) == set(definitions["table"]["properties"])
    keys = {key for question in questions for chart in question["charts"] for key in chart}
    assert keys == set(definitions["chart"]["properties"])


def test_code_keeps_its_lines_and_loses_what_would_move_a_cursor() -> None:
    code = "with graph:\n\tout = model(x)\x1b[2J\n"
    asked = replace(asked_analysis(), findings=(replace(GRAPH, code=code),))
    assert to_dict(asked)["findings"][0]["code"] == "with graph:\n    out = model(x)"


def test_a_figure_that_is_not_finite_becomes_null_in_tables_too() -> None:
    analysis = asked_analysis()
    first = analysis.questions[0]
    table = replace(first.tables[0], rows=((float("nan"), float("inf"), 1, "x", None),))
    document = to_json([replace(analysis, questions=(replace(first, tables=(table,)),))])
    assert json.loads(document)["questions"][0]["tables"][0]["rows"] == [[None, None, 1, "x", None]]


def test_the_users_run_stands_with_its_source_and_each_layers_share_of_it() -> None:
    answer = to_dict(profiled_analysis())
    jsonschema.Draft202012Validator(schema()).validate(answer)
    profile = answer["profile"]
    assert (profile["file"], profile["recorder"], profile["latency_us"]) == ("trace.json", "pytorch", 2918.0)
    assert set(profile) == set(schema()["$defs"]["profile"]["properties"])
    layers = {layer["name"]: layer for layer in answer["layers"]}
    assert layers["conv1"]["run_us"] > 0
    assert layers["conv1"]["run_beside"] == ["conv1.relu"]
    assert (layers["conv1.relu"]["run_us"], layers["conv1.relu"]["run_inside"]) == (None, "conv1")
