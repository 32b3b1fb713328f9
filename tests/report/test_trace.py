"""The predicted schedule as a Chrome trace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headroom.advise.analysis import Analysis
from headroom.report.trace import trace_chunks
from report.factory import make_analysis


def _events(*analyses: Analysis) -> list[dict[str, Any]]:
    document = json.loads("".join(trace_chunks(analyses)))
    events: list[dict[str, Any]] = document["traceEvents"]
    return events


def _complete(events: list[dict[str, Any]], process: int) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == "X" and event["pid"] == process]


def test_every_scheduled_layer_is_an_event_on_its_stream() -> None:
    analysis = make_analysis(hostile=False)
    events = _complete(_events(analysis), 1)
    assert [(e["name"], e["tid"]) for e in events] == [(p.name, p.stream) for p in analysis.schedule]
    assert sum(e["args"]["critical_path"] for e in events) == sum(p.critical for p in analysis.schedule)


@pytest.mark.parametrize("process", [1, 2])
def test_events_of_one_thread_never_overlap(process: int) -> None:
    ends: dict[int, float] = {}
    for event in sorted(_complete(_events(make_analysis()), process), key=lambda e: e["ts"]):
        assert event["ts"] >= ends.get(event["tid"], 0.0) - 1e-6
        ends[event["tid"]] = event["ts"] + event["dur"]


def test_the_sequential_schedule_adds_up_to_the_sequential_bound() -> None:
    analysis = make_analysis()
    assert sum(e["dur"] for e in _complete(_events(analysis), 2)) == pytest.approx(analysis.bounds.sequential_us)


def test_streams_and_schedules_have_names() -> None:
    names = {(e["name"], e["args"]["name"].split(" ·")[0]) for e in _events(make_analysis()) if "name" in e["args"]}
    assert ("thread_name", "stream 0") in names
    assert any(kind == "process_name" and name.startswith("Parallel schedule") for kind, name in names)


def test_a_layer_without_a_time_is_a_mark_and_not_missing() -> None:
    marks = [e for e in _events(make_analysis()) if e["ph"] == "i"]
    assert {e["name"] for e in marks} == {"mystery<b>"}
    assert {e["args"]["source"] for e in marks} == {"unknown"}


def test_several_answers_have_processes_of_their_own() -> None:
    assert {e["pid"] for e in _events(make_analysis(1), make_analysis(2))} == {1, 2, 3, 4}


def test_hostile_names_are_short_and_printable() -> None:
    assert all(e["name"].isprintable() and len(e["name"]) <= 200 for e in _events(make_analysis()))
