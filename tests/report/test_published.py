"""Reading an answer back: what does not follow the schema is refused with the file and the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headroom.errors import ModelError
from headroom.report.answer import to_dict, to_json
from headroom.report.published import read_answers, schema
from report.factory import make_analysis

GOLDEN = Path(__file__).parent / "golden" / "answer.json"


def _answer() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(GOLDEN.read_text("utf-8"))
    return answer


def _written(folder: Path, document: object) -> Path:
    path = folder / "answer.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    analyses = [make_analysis(1, hostile=False), make_analysis(4, hostile=False)]
    path.write_text(to_json(analyses), "utf-8")
    assert read_answers(path) == [to_dict(analysis) for analysis in analyses]


def _without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda answer: {k: v for k, v in answer.items() if k != key}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without("bounds"), "field bounds is missing"),
        (lambda a: a["layers"][1].pop("time_us") and a, "field layers[1].time_us is missing"),
        (lambda a: a | {"batch": "one"}, 'batch is "one", expected integer'),
        (lambda a: a | {"batch": True}, "batch is true, expected integer"),
        (lambda a: a | {"batch": 0}, "batch is 0, outside the range that the schema allows"),
        (lambda a: a | {"l2": "tepid"}, 'l2 is "tepid", expected one of warm, cold'),
        (lambda a: [a, 3], "[1] is 3, expected object"),
        (lambda a: "answer", 'the answer is "answer", expected object'),
        (lambda a: a | {"time_by_kind": {"a\x1b[1m": "x"}}, 'time_by_kind.a is "x", expected number or null'),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_by_field(
    change: Callable[[dict[str, Any]], object], sentence: str, tmp_path: Path
) -> None:
    path = _written(tmp_path, change(_answer()))
    with pytest.raises(ModelError) as caught:
        read_answers(path)
    assert str(caught.value) == f"{path}: {sentence}; write it again with `headroom analyze --json`"


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = _written(tmp_path, [_answer(), {"schema_version": 2, "anything": "else"}])
    with pytest.raises(ModelError) as caught:
        read_answers(path)
    assert str(caught.value) == (
        f"{path}: [1].schema_version is 2, and this Headroom reads up to 1; update Headroom, "
        "or write the file again with this version"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"batch": NaN}', "NaN is no JSON number"),
        (b"[]", "holds an empty list"),
    ],
)
def test_bytes_that_are_no_answer_are_refused(content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=sentence):
        read_answers(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read .*none\.json: No such file or directory; check the path"):
        read_answers(tmp_path / "none.json")


def _paths(value: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [path for key, item in items for path in _paths(item, (*at, key))]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_our_reader_accepts_exactly_what_the_schema_accepts(data: st.DataObject, tmp_path: Path) -> None:
    answer = _answer()
    *holder, last = data.draw(st.sampled_from(_paths(answer)))
    place: Any = answer
    for key in holder:
        place = place[key]
    place[last] = data.draw(st.sampled_from([None, True, -1, 0, 0.5, 1e9, "", "x", [], ["x"], {}, {"x": "y"}]))
    valid = jsonschema.Draft202012Validator(schema()).is_valid(answer)
    try:
        read_answers(_written(tmp_path, answer))
        accepted = True
    except ModelError:
        accepted = False
    assert accepted == valid, (holder, last, place[last])
