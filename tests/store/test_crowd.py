"""Promise 4: many runs share one database, none fails and none waits long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from headroom.store.check import problems
from headroom.store.store import Store
from store.crowd import Member, Say
from store.factory import BF16, SYSTEM, make_chain, make_sweep

WRITERS, READERS, LAYERS = 32, 8, 8

LONGEST_WAIT_S = 5.0


@pytest.mark.alone
def test_thirty_two_writers_and_eight_readers_share_a_database(place: str) -> None:
    """They also all open it at once while it is not there yet."""
    writers = [Member(_writer(place, each * LAYERS)) for each in range(WRITERS)]
    readers = [Member(_reader(place)) for _ in range(READERS)]
    waits = [wait for member in (*writers, *readers) for wait in member.join()]
    assert [wait for wait in waits if not isinstance(wait, float)] == []
    assert max(wait for wait in waits if isinstance(wait, float)) < LONGEST_WAIT_S
    with Store.open(place) as store:
        assert len(store.finished(SYSTEM, BF16, "all")) == WRITERS * LAYERS
        assert store.systems()[0].rows == WRITERS * LAYERS * len(make_sweep().timings)
        assert problems(store) == ()


def _writer(place: str, first: int) -> Callable[[Say], None]:
    def work(say: Say) -> None:
        with Store.open(place) as store:
            for number in range(first, first + LAYERS):
                start = time.perf_counter()
                store.record(make_sweep(number))
                say(time.perf_counter() - start)

    return work


def _reader(place: str) -> Callable[[Say], None]:
    digests = [make_chain(number).digest for number in range(WRITERS * LAYERS)]

    def work(say: Say) -> None:
        with Store.open(place) as store:
            for _ in range(20):
                start = time.perf_counter()
                best = store.best(SYSTEM, BF16, "warm", digests)
                say(time.perf_counter() - start)
                assert all(timing.kernels for timing in best.values()), "half a row was read"
                time.sleep(0.02)

    return work
