"""A chain is put together in the cheapest way there is."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headroom.advise.parts import Part, cheapest
from headroom.predict.prediction import Source


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Part], int]:
    """Every single layer, and some longer parts."""
    length = draw(st.integers(1, 7))
    spans = [(start, stop) for start in range(length) for stop in range(start + 2, length + 1)]
    longer = draw(st.lists(st.sampled_from(spans), unique=True)) if spans else []
    times = st.floats(0.0, 100.0)
    singles = [(i, i + 1) for i in range(length)]
    return [Part(a, b, draw(times), 0.0, Source.MEASURED) for a, b in (*singles, *longer)], length


def all_ways(parts: list[Part], start: int, length: int) -> Iterator[float]:
    if start == length:
        yield 0.0
    for part in parts:
        if part.start == start:
            yield from (part.time_us + rest for rest in all_ways(parts, part.stop, length))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains())
def test_no_other_way_takes_less_and_each_layer_runs_once(case: tuple[list[Part], int]) -> None:
    parts, length = case
    chosen = cheapest(parts, length)
    assert [part.start for part in chosen] == [0, *(part.stop for part in chosen[:-1])]
    assert chosen[-1].stop == length
    assert abs(sum(part.time_us for part in chosen) - min(all_ways(parts, 0, length))) < 1e-9
