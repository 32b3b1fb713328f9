"""Promises 1 and 2: a kill at any moment loses at most the layer in flight, and a second run goes on from there."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom.store.check import problems
from headroom.store.store import Store
from store.crowd import Member, Say
from store.factory import BF16, SYSTEM, dump, make_chain, make_sweep

WRITERS = 8

#: Chains of one writer in one round: more than it can write before it is killed.
_SHARE = 200


def test_killed_writers_lose_nothing_that_was_acknowledged(place: str) -> None:
    _kill_writers(place, rounds=10 if "://" not in place else 4)


@pytest.mark.long
def test_two_hundred_rounds_of_killed_writers_lose_nothing(place: str) -> None:
    _kill_writers(place, rounds=200)


def _kill_writers(place: str, rounds: int) -> None:
    chance = random.Random(7)
    Store.open(place).close()
    acknowledged: set[int] = set()
    for turn in range(rounds):
        first = turn * WRITERS * _SHARE
        members = [Member(_writer(place, first + each * _SHARE)) for each in range(WRITERS)]
        # On a slow machine they would be killed before they have written anything, which proves nothing.
        assert members[0].has_said(seconds=30.0)
        for member in members:
            time.sleep(chance.uniform(0.0, 0.06))
            member.kill()
        kept = {number for member in members for number in _numbers(member.join())}
        present = _check_rows(place, first, first + WRITERS * _SHARE)
        if rounds <= 10 or turn % 10 == 9:  # it reads everything, of all rounds so far
            _check_database(place)
        assert kept <= present
        assert len(present - kept) <= WRITERS, "more than the layer in flight was written and not acknowledged"
        acknowledged |= kept
    assert len(acknowledged) > rounds


def _numbers(said: list[object]) -> list[int]:
    assert all(isinstance(number, int) for number in said), said
    return [number for number in said if isinstance(number, int)]


def _writer(place: str, first: int) -> Callable[[Say], None]:
    def work(say: Say) -> None:
        with Store.open(place) as store:
            for number in range(first, first + _SHARE):
                store.record(make_sweep(number))
                say(number)

    return work


def _check_rows(place: str, start: int, stop: int) -> set[int]:
    """The numbers of the sweeps that are there, every one of which is whole."""
    with Store.open(place) as store:
        finished = store.finished(SYSTEM, BF16, "all")
        present = {number for number in range(start, stop) if make_chain(number).digest in finished}
        for number in present:
            assert set(store.timings(make_chain(number).digest, SYSTEM, BF16)) == set(make_sweep(number).timings)
    return present


def _check_database(place: str) -> None:
    with Store.open(place) as store:
        assert problems(store) == ()


def test_a_killed_run_resumes_where_it_stopped(place: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    measured: list[int] = []
    for _ in range(100):
        member = Member(_run(place, 30))
        time.sleep(chance.uniform(0.02, 0.15))
        member.kill()
        measured += _numbers(member.join())
        with Store.open(place) as store:
            finished = store.finished(SYSTEM, BF16, "all")
        if len(finished) > 20:
            break
    again = _numbers(Member(_run(place, 30)).join())
    assert not {make_chain(number).digest for number in again} & finished
    everything = measured + again
    assert len(everything) == len(set(everything)), "a finished layer was measured again"
    with Store.open(place) as store, Store.open(tmp_path / "unbroken.sqlite") as unbroken:
        for number in range(30):
            unbroken.record(make_sweep(number))
        assert dump(store) == dump(unbroken)


def _run(place: str, layers: int) -> Callable[[Say], None]:
    """A run as the stopwatch makes it: what is finished is skipped, the rest is measured and recorded."""

    def work(say: Say) -> None:
        with Store.open(place) as store:
            finished = store.finished(SYSTEM, BF16, "all")
            for number in range(layers):
                if make_chain(number).digest not in finished:
                    store.record(make_sweep(number))
                    say(number)

    return work
