"""Any bytes give a profile or one sentence: what, where, what to do."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headroom.errors import ModelError, ProfileError
from headroom.measure.profiles import profile_file
from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.reading import read_profile
from profiles import FOLDER, raw_trace

#: What damage and malice put where a number, a name or a list should be.
HOSTILE = [
    None, True, -1, 0, 1e308, -1e308, math.nan, math.inf, 10**400, 2**63, "", "x" * 5000, "7", "NaN", [], [[]], {},
    {"a": {}}, [1, "a", None, [2]], [math.nan] * 3, [[1, [2]], 3],
]  # fmt: skip

PLACES = [
    "ph", "cat", "name", "pid", "tid", "ts", "dur", "args", "External id", "correlation", "grid", "block", "stream",
    "device", "bytes", "registers per thread", "Input Dims", "Input type", "Input Strides", "Concrete Inputs",
    "op_name", "input_type_shape",
]  # fmt: skip


def small_kineto() -> dict[str, Any]:
    """Some events of every kind from a recorded trace."""
    trace = raw_trace("resnet18-1-default")
    kept = [event for event in trace["traceEvents"] if event.get("cat") in ("user_annotation", "cuda_runtime")][:20]
    for category in ("cpu_op", "kernel", "gpu_memset"):
        kept += [event for event in trace["traceEvents"] if event.get("cat") == category][:15]
    return trace | {"traceEvents": kept}


def small_onnxruntime() -> list[Any]:
    path = FOLDER / "onnxruntime-resnet18.json.gz"
    events: list[Any] = json.loads(gzip.decompress(path.read_bytes()))
    return events[:40]


SOURCES: list[Callable[[], Any]] = [small_kineto, small_onnxruntime]
TEXTS = {source.__name__: json.dumps(source()) for source in SOURCES}


def one_sentence(text: str) -> str:
    assert "\n" not in text
    assert len(text) < 1000
    return text


def outcome(path: Path) -> Profile | str:
    """What becomes of a file: a profile that can be used, or the sentence."""
    try:
        read = read_profile(path)
    except ProfileError as error:
        return one_sentence(str(error))
    for step in read.steps:
        assert math.isfinite(step.duration_us)
        assert 0 <= step.gpu_busy_us <= step.gpu_span_us + 1e-3 * (1 + len(step.launches))
        for item in (*step.launches, *step.waits):
            assert item.call is None or 0 <= item.call < len(step.calls)
        assert all(call.parent is None or call.parent < number for number, call in enumerate(step.calls))
    assert read.typical in read.steps
    return read


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("strangers") / "trace.json"


relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(data=st.data(), kind=st.sampled_from(sorted(TEXTS)))
def test_wrong_values_anywhere_in_a_real_profile_are_left_out_or_refused(
    data: st.DataObject, kind: str, place: Path
) -> None:
    value = json.loads(TEXTS[kind])
    events = value["traceEvents"] if isinstance(value, dict) else value
    for _ in range(data.draw(st.integers(1, 12))):
        event = events[data.draw(st.integers(0, len(events) - 1))]
        key, bad = data.draw(st.sampled_from(PLACES)), data.draw(st.sampled_from(HOSTILE))
        target = event.get("args") if key not in event and isinstance(event.get("args"), dict) else event
        if data.draw(st.booleans()):
            target.pop(key, None)
        else:
            target[key] = bad
    place.write_text(json.dumps(value))
    outcome(place)


@relaxed
@given(data=st.data(), kind=st.sampled_from(sorted(TEXTS)), packed=st.booleans())
def test_cut_and_flipped_bytes_give_a_profile_or_a_sentence(
    data: st.DataObject, kind: str, packed: bool, place: Path
) -> None:
    content = bytearray(TEXTS[kind].encode())
    if packed:
        content = bytearray(gzip.compress(bytes(content), mtime=0))
    for _ in range(data.draw(st.integers(0, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    place.write_bytes(content)
    outcome(place)


@pytest.mark.parametrize("bad", HOSTILE, ids=lambda bad: repr(bad)[:12])
def test_whole_files_of_one_hostile_value_are_refused(bad: Any, place: Path) -> None:
    for value in (bad, [bad], {"traceEvents": bad}, {"traceEvents": [bad]}, [{"cat": "Node", "name": bad}]):
        place.write_text(json.dumps(value))
        assert isinstance(outcome(place), str)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\x1f\x8b", "damaged gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], "damaged gzip"),
        (b'{"traceEvents": [{"name": "a', "ends in the middle"),
        (b'{"traceEvents": [{"name": "a"}', "ends in the middle"),
        (b"\x00\x01\x02binary", "is not JSON"),
        (b"SQLite format 3\x00rest", "Nsight Systems"),
        (b"[" * 200_000, "nests lists"),
        (b"9" * 10_000, "numbers as no profiler does"),
        (b'{"model": 1}', "no profile that Headroom knows"),
        (b'{"traceEvents": []}', "no operator and no kernel"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_file_that_is_no_profile_is_told_in_one_sentence(content: bytes, says: str, place: Path) -> None:
    place.write_bytes(content)
    sentence = outcome(place)
    assert isinstance(sentence, str)
    assert says in sentence
    assert str(place) in sentence


def test_a_file_that_is_not_there_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="does not exist"):
        read_profile(tmp_path / "nowhere.json")
    with pytest.raises(ProfileError, match="is not a file"):
        read_profile(tmp_path)


def test_a_profile_that_cannot_be_read_ends_like_a_model_that_cannot() -> None:
    assert issubclass(ProfileError, ModelError)
    assert ProfileError.exit_code == 3


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_before_it_is_whole(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile_file, "TEXT_LIMIT_BYTES", 1 << 20)
    place.write_bytes(gzip.compress(b" " * (64 << 20), 9))
    sentence = outcome(place)
    assert isinstance(sentence, str)
    assert "more than 1 MiB of text; record fewer steps" in sentence


@pytest.mark.parametrize("nested", [True, False], ids=["nested", "overlapping"])
def test_many_events_inside_or_across_each_other_take_no_longer_than_others(nested: bool, place: Path) -> None:
    """A quadratic reader would need hours here."""
    number = 60_000
    events = [
        {"ph": "X", "cat": "python_function", "name": "nn.Module: " + "m" * 50, "pid": 1, "tid": 1, "ts": at,
         "dur": 2 * number - 2 * at if nested else number, "args": {}}
        for at in range(number)
    ]  # fmt: skip
    events += [
        {"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": at, "dur": 1,
         "args": {"device": at, "correlation": at}}
        for at in range(number)
    ]  # fmt: skip
    place.write_text(json.dumps({"traceEvents": events, "deviceProperties": [{"id": 5, "name": "x"}]}))
    read = outcome(place)
    assert isinstance(read, Profile)
    assert len(read.steps[0].launches) == number
