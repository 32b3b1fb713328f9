"""The loop over a layer's implementations, on a fake GPU in this process."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from headroom.measure.fake import FakeBench
from headroom.measure.fake_script import Fault, Script
from headroom.measure.layer import HOPELESS, PoisonedError, measure_layer
from headroom.measure.reasons import endless, row_of
from headroom.measure.task import Task
from headroom.store.rows import Implementation, Status, Timing
from headroom.store.steps import OPERANDS, REST, library_of
from measure.chains import CONV, FUSED, RELU, task

MISSING = library_of("cudnn")


class Notes:
    """Everything that the loop tells."""

    def __init__(self) -> None:
        self.tried: list[tuple[Implementation, str]] = []
        self.rows: dict[tuple[Implementation, str], Timing] = {}

    def trying(self, implementation: Implementation, l2: str) -> None:
        self.tried.append((implementation, l2))

    def waiting(self) -> None:
        self.has_gpu = False

    def running(self) -> None:
        self.has_gpu = True

    def timing(self, timing: Timing) -> None:
        untried = timing.implementation in (REST, OPERANDS, MISSING) or timing.reason.startswith("not tried")
        assert untried or (timing.implementation, timing.l2) in self.tried
        self.rows[timing.implementation, timing.l2] = timing

    def by_plan(self, l2: str = "warm", layout: str = "") -> dict[str, Timing]:
        return {i.name: row for (i, state), row in self.rows.items() if state == l2 and i.layout == layout}


def run(*faults: Fault, chain: object = RELU, **changes: object) -> Notes:
    notes = Notes()
    measure_layer(task(chain, **changes), FakeBench(Script(fail=faults)), notes)  # type: ignore[arg-type]
    return notes


def test_every_implementation_gets_a_row() -> None:
    rows = run().by_plan()
    assert sorted(rows) == [f"plan{i}" for i in range(6)]
    assert {row.status for row in rows.values()} == {Status.OK}
    best = rows["plan1"]
    assert best.median_us == min(row.median_us or 0.0 for row in rows.values())
    assert best.samples >= 10
    assert best.kernels
    assert best.gpu_uuid.startswith("FAKE-")
    assert best.relative_error is not None


def test_of_likely_plans_only_those_named_are_tried() -> None:
    only = (Implementation("fake", "plan3"), Implementation("fake", "plan1"), Implementation("fake", "gone"))
    rows = run(plans="likely", only=only).by_plan()
    assert sorted(rows) == ["plan1", "plan3"]


def test_where_no_likely_plan_has_a_time_all_are_tried() -> None:
    only = (Implementation("fake", "plan3"),)
    rows = run(Fault("wrong", 3), plans="likely", only=only).by_plan()
    assert sorted(rows) == [f"plan{i}" for i in range(6)]
    assert rows["plan3"].status is Status.FAILED
    assert rows["plan1"].status is Status.OK


def test_a_task_with_likely_plans_travels_whole() -> None:
    sent = task(CONV, plans="likely", only=(Implementation("fake", "plan3", "nhwc"),))
    assert Task.from_json(json.loads(json.dumps(sent.to_json()))) == sent


def test_the_fastest_are_timed_again_by_turns_and_in_the_cold_state() -> None:
    notes = run()
    cold = notes.by_plan("cold")
    assert sorted(cold) == ["plan1", "plan2"], "the two fastest in the state that decides"
    again = [i.name for i, _ in notes.tried if i.backend == "fake" and i.name.startswith("plan")][6:]
    turns = ["plan1", "plan2", "plan3", "plan4"]
    assert again == [*turns, *reversed(turns), *turns[:2]], "those within 15 % of the best, at most four"
    assert notes.by_plan()["plan1"].samples == 2 * notes.by_plan()["plan5"].samples


def test_only_the_states_that_are_asked_for_are_timed() -> None:
    assert {l2 for _, l2 in run(l2_states=("cold",)).rows} == {"cold"}
    assert {l2 for _, l2 in run(l2_states=("warm",)).rows} == {"warm"}


def test_layouts_are_implementations_of_their_own() -> None:
    notes = run(chain=CONV)
    assert len(notes.by_plan(layout="nhwc")) == len(notes.by_plan(layout="nchw")) == 6


def test_heuristic_plans_are_fewer() -> None:
    assert len(run(plans="heuristic").by_plan()) == 2


@pytest.mark.parametrize(
    ("how", "status", "says"),
    [
        ("build", Status.FAILED, "could not compile"),
        ("run", Status.FAILED, "the kernel returned an error"),
        ("unsupported", Status.UNSUPPORTED, "declines"),
        ("wrong", Status.FAILED, "wrong by 0.5 of the reference; tolerated are 0.01"),
        ("nan", Status.FAILED, "not numbers"),
        ("unstable", Status.UNSTABLE, "50% of the median"),
        ("unknown-bit", Status.THROTTLED, "0x8000"),
    ],
)
def test_one_bad_plan_costs_one_plan(how: str, status: Status, says: str) -> None:
    rows = run(Fault(how, plan=1)).by_plan()
    assert rows["plan1"].status is status
    assert says in rows["plan1"].reason
    assert {row.status for name, row in rows.items() if name != "plan1"} == {Status.OK}


def test_a_wrong_output_is_never_timed() -> None:
    row = run(Fault("wrong", plan=1)).by_plan()["plan1"]
    assert row.median_us is None
    assert (row.relative_error, row.tolerance) == (0.5, 1e-2)


def test_an_implementation_that_does_not_fit_says_how_much_it_lacks() -> None:
    row = run(Fault("oom", plan=2)).by_plan()["plan2"]
    assert row.status is Status.OOM
    assert row.needed_bytes is not None
    assert row.free_bytes is not None
    assert row.needed_bytes > row.free_bytes


def test_a_layer_that_does_not_fit_is_a_row() -> None:
    (row,) = run(Fault("oom")).rows.values()
    assert (row.implementation, row.status) == (OPERANDS, Status.OOM)
    assert row.needed_bytes is not None


def test_a_throttled_finalist_gets_a_second_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("headroom.measure.layer.time.sleep", pauses.append)
    rows = run(Fault("throttled", plan=1)).by_plan()
    assert rows["plan1"].status is Status.THROTTLED
    assert rows["plan1"].median_us is not None
    assert 1.0 in pauses


def test_a_poisoned_context_is_told_before_it_ends_the_loop() -> None:
    notes = Notes()
    with pytest.raises(PoisonedError):
        measure_layer(task(), FakeBench(Script(fail=(Fault("poison", plan=2),))), notes)
    assert list(notes.by_plan()) == ["plan0", "plan1", "plan2"]
    assert notes.by_plan()["plan2"].status is Status.FAILED


def test_what_an_earlier_process_found_is_not_tried_again_but_may_win() -> None:
    first = run().rows
    known = [row for (i, l2), row in first.items() if l2 == "warm" and i.name in ("plan0", "plan1")]
    notes = Notes()
    measure_layer(task(), FakeBench(), notes, known=known)
    assert "plan0" not in notes.by_plan()
    assert notes.by_plan("cold")["plan1"].status is Status.OK, "it was rebuilt to be timed with care"


def test_an_engine_that_did_not_end_is_not_tried_with_other_knobs() -> None:
    first = run().by_plan()["plan2"]
    knobs = replace(first.implementation, name="plan2_k1=0")
    known = row_of(endless(15.0), knobs, "warm")
    notes = Notes()
    measure_layer(task(), FakeBench(), notes, known=[known])
    skipped = notes.by_plan()["plan2"]
    assert skipped.status is Status.TIMEOUT
    assert skipped.reason == "not tried: plan2 did not end with other knobs"
    assert (skipped.implementation, "warm") not in notes.tried
    assert notes.by_plan()["plan3"].status is Status.OK


def test_what_is_hopeless_beside_an_earlier_process_is_hopeless() -> None:
    asked: list[float] = []

    class Asked(FakeBench):
        def time(self, program: Any, l2: str, **options: Any) -> Any:
            asked.append(options.get("hopeless_us", math.inf))
            return super().time(program, l2, **options)

    first = run().by_plan()
    known = [replace(first["plan0"], median_us=0.125)]
    measure_layer(task(), Asked(), Notes(), known=known)
    assert asked[0] == HOPELESS * 0.125
    asked.clear()
    measure_layer(task(), Asked(), Notes())
    assert asked[0] == math.inf


def test_a_layer_whose_time_is_over_says_what_was_not_tried() -> None:
    notes = Notes()
    measure_layer(task(), FakeBench(Script(plan_s=0.05)), notes, seconds=0.1)
    rest = notes.rows[REST, "warm"]
    assert rest.status is Status.TIMEOUT
    assert "plan" in rest.reason
    assert 0 < len(notes.by_plan()) - 1 < 6


def test_a_fused_chain_is_one_layer_to_the_stopwatch() -> None:
    fused, single = run(chain=FUSED), run(chain=CONV)
    assert len(fused.rows) == len(single.rows)


def test_what_no_library_runs_is_said() -> None:
    notes = Notes()
    measure_layer(task(), FakeBench(Script(plans=0)), notes)
    (row,) = notes.rows.values()
    assert row.status is Status.UNSUPPORTED


def test_a_library_that_is_missing_is_said_in_every_layer() -> None:
    notes = Notes()
    measure_layer(task(), FakeBench(Script(missing={"cudnn": "ImportError: No module named 'cudnn'"})), notes)
    row = notes.rows[MISSING, "warm"]
    assert row.status is Status.UNSUPPORTED
    assert row.reason == "this library is left out: ImportError: No module named 'cudnn'"
    assert notes.by_plan()["plan1"].status is Status.OK
