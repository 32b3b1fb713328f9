"""Text from strangers is printed as one plain line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headroom.text import plain_line


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
    assert plain_line("a\x1b[31mb\x07\x9b2Jc\u202ed\u2066e\nf\u2028g\ud800h") == "a [31mb 2Jc d e f g h"
