"""Strangers' text is harmless once it went through here."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from headroom.text import ELLIPSIS, clean, plain_line, view
from report.factory import ANSI, BIDI, HOSTILE


@given(text=st.text(max_size=2_000), characters=st.integers(3, 300))
def test_any_text_becomes_one_printable_line_of_limited_length(text: str, characters: int) -> None:
    line = plain_line(text, characters)
    assert line.isprintable()
    assert len(line) <= characters


@given(text=st.text("abcXYZ019._/-", max_size=200))
def test_ordinary_names_are_left_alone(text: str) -> None:
    assert plain_line(text) == text


def test_a_long_name_keeps_its_ends() -> None:
    line = plain_line("first" + "x" * 1_000_000 + "last", 21)
    assert line.startswith("first")
    assert line.endswith("last")
    assert len(line) == 21


def test_what_terminals_obey_is_taken_out() -> None:
    assert plain_line("a\x1b[31mb\x07\x9b2Jc\u202ed\u2066e\nf\u2028g\ud800h") == "abcde f gh"


def test_an_ansi_sequence_leaves_nothing_behind() -> None:
    assert clean(ANSI) == "convred"


def test_bidirectional_marks_go() -> None:
    assert clean(BIDI) == "usergnp.exe"


def test_line_breaks_of_every_sort_become_spaces() -> None:
    assert clean("a\nb\rc\u2028d\u2029e\tf") == "a b c d e f"


def test_half_a_surrogate_pair_can_be_written_as_utf8_afterwards() -> None:
    assert clean("a\ud800b").encode() == b"ab"


def test_names_in_other_scripts_stay_as_they_are() -> None:
    assert clean("слой/畳み込み.é") == "слой/畳み込み.é"


def test_an_unfinished_sequence_leaves_nothing_either() -> None:
    assert clean("\x1b[") == ""
    assert clean("\x1b]0;half") == ""


@given(st.text() | st.text(alphabet="\x1b[]0;m\x07\x9b\x9d\u202e\n ab"))
def test_nothing_unprintable_survives_and_cleaning_twice_changes_nothing(text: str) -> None:
    cleaned = clean(text)
    assert not {unicodedata.category(c) for c in cleaned} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(cleaned) == cleaned


@given(st.text(max_size=400), st.integers(min_value=1, max_value=200))
def test_a_view_never_exceeds_its_limit(text: str, limit: int) -> None:
    assert len(view(text, limit)) <= limit


def test_a_megabyte_of_name_keeps_both_ends_around_an_ellipsis() -> None:
    shown = view("start" + "x" * 1_000_000 + "end", 21)
    assert shown == "startxxxxx" + ELLIPSIS + "xxxxxxxend"


def test_every_hostile_name_is_one_printable_line() -> None:
    for name in HOSTILE:
        assert view(name).isprintable(), name[:80]
