"""Strangers' text is harmless once it went through here."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from headroom.report.sanitize import ELLIPSIS, clean, view
from report.factory import ANSI, BIDI, HOSTILE


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
