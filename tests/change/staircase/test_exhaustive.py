"""Every width of a staircase: all plans at a few widths, the likely ones between them, and what a kill leaves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from headroom.change.widths.staircase.exhaustive import Narrowing, Sweep, anchors_of, fast, in_order
from headroom.change.widths.staircase.spec import parse_conv
from headroom.change.widths.staircase.study import subjects_of_conv
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.measure.crew import Crew
from headroom.measure.fake_script import VARIABLE, Script, fake_facts
from headroom.measure.plan import Planned
from headroom.measure.sweep import SweepReport, measure_tasks
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.rows import Sweep as Visit
from headroom.store.store import Store

SYSTEM = fake_facts(Script()).system
PLANS = 12


def sweep_of(conv: str) -> Sweep:
    (subject,) = subjects_of_conv(parse_conv(conv), DataType.BF16)
    return Sweep.of(subject, subject.in_widths[0], load_gpu("h200"), DataType.BF16)


SMALL = "c=16,h=8,w=8,k=8:64:8"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv(VARIABLE, "fake:" + json.dumps({"plans": PLANS}))
    with Store.open(tmp_path / "m.sqlite") as opened:
        yield opened


def measure(store: Store, *sweeps: Sweep) -> SweepReport:
    with Crew(size=1) as crew:
        # On their own: the fake is faster than the database, and they would not be there yet.
        anchors = [Planned(task, 1, 0.0) for sweep in sweeps for task in sweep.anchors]
        measure_tasks(anchors, store, crew)
        return measure_tasks(in_order(sweeps), store, crew, narrowed=Narrowing.of(sweeps, store, SYSTEM))


def test_both_ends_and_multiples_of_a_power_of_two_are_anchors() -> None:
    assert anchors_of(range(8, 65, 8)) == (8, 32, 64)
    assert anchors_of(range(8, 129, 8)) == (8, 32, 64, 96, 128)
    assert anchors_of([100]) == (100,)


def test_between_anchors_only_what_was_fast_at_one_is_tried(store: Store) -> None:
    sweep = sweep_of(SMALL)
    report = measure(store, sweep)
    assert (report.skipped, report.measured, report.left) == (3, 5, 0)
    for task in sweep.tasks:
        rows = store.timings(task.chain.digest, SYSTEM, DataType.BF16)
        tried = {row.implementation.name for row in rows}
        # The fake's plans lie 4 % apart, so that eight lie within 30 % of the first.
        assert len(tried) == (PLANS if task in sweep.anchors else 8)
        assert {row.status for row in rows} == {Status.OK}


def test_a_sweep_of_all_plans_takes_up_what_likely_ones_left(store: Store) -> None:
    sweep = sweep_of(SMALL)
    measure(store, sweep)
    digests = {task.chain.digest for task in sweep.tasks}
    anchors = {task.chain.digest for task in sweep.anchors}
    assert store.finished(SYSTEM, DataType.BF16, "likely") == digests
    assert store.finished(SYSTEM, DataType.BF16, "all") == anchors


def test_the_cheapest_staircase_is_whole_before_a_dear_one_is_begun_between_its_anchors() -> None:
    dear, cheap = sweep_of("c=512,h=64,w=64,k=8:512:8,n=32"), sweep_of(SMALL)
    order = [item.task for item in in_order([dear, cheap])]
    assert order[: len(cheap.anchors)] == list(cheap.anchors)
    between = [task for task in dear.tasks if task not in dear.anchors]
    assert max(order.index(task) for task in cheap.tasks) < min(order.index(task) for task in between)
    assert len(order) == len(dear.tasks) + len(cheap.tasks)


def test_a_width_is_tried_in_full_where_no_anchor_is_known_yet(store: Store) -> None:
    sweep = sweep_of(SMALL)
    task = next(each for each in sweep.tasks if each.plans == "likely")
    narrowed = Narrowing.of([sweep], store, SYSTEM)(task)
    assert (narrowed.plans, narrowed.only) == ("all", ())


def test_a_run_that_ends_anywhere_goes_on_from_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, visits = sweep_of(SMALL), Counter[str]()
    record = Store.record

    def recorded(self: Store, visit: Visit) -> None:
        if len(visits) == 4:
            raise KeyboardInterrupt
        record(self, visit)
        visits[visit.chain.digest] += 1

    monkeypatch.setattr(Store, "record", recorded)
    with pytest.raises(KeyboardInterrupt):
        measure(store, sweep)
    monkeypatch.setattr(Store, "record", record)
    assert store.finished(SYSTEM, DataType.BF16, "likely") == set(visits)

    report = measure(store, sweep)
    assert (report.skipped, report.measured, report.left) == (4, 4, 0)


def test_implementations_near_the_fastest_are_likely_even_if_the_gpu_was_throttled() -> None:
    times = {"a": (10.0, Status.OK), "b": (12.9, Status.THROTTLED), "c": (13.1, Status.OK), "d": (None, Status.OOM)}
    rows = [Timing(Implementation("x", name), "warm", status, median_us=us) for name, (us, status) in times.items()]
    assert {each.name for each in fast(rows)} == {"a", "b"}
    assert list(fast([])) == []
