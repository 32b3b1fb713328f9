"""A fleet over all GPUs of this machine: who measures what, what a death costs, and what others see of it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headroom.errors import GpuError, ModelError, UsageError
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.fleet.fleet import Fleet
from headroom.measure.fleet.handing_out import Answer
from headroom.measure.fleet.items import Item, JobItem
from headroom.measure.fleet.local import local_fleet
from headroom.measure.fleet.status import FleetStatus, status
from headroom.measure.sweep import Progress
from headroom.report.fleet import render_status
from headroom.store.rows import System
from measure.chains import script
from measure.processes import wait_until_gone
from measure_fleet.fleets import PATIENCE_S, SYSTEM, TASKS, Killer, finished, measured, wait_for

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

OTHER = fake_facts(Script(gpus=("Other GPU",))).system
KINDS = ["Fake GPU", "Fake GPU", "Other GPU"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two GPUs of one kind and one of another, of which one test after another asks something."""
    with pytest.MonkeyPatch.context() as patch:
        turns = str(tmp_path_factory.mktemp("turns"))
        patch.setenv("HEADROOM_BENCH", script(plans=2, plan_s=0.01, gpus=KINDS, turns=turns))
        with local_fleet(seats=2) as address, Fleet(address) as fleet:
            yield fleet


def test_every_kind_of_gpu_measures_all_of_it_as_a_system_of_its_own(mixed: Fleet, tmp_path: Path) -> None:
    where = tmp_path / "m.sqlite"
    report = measured(mixed, where)
    assert {sweep.system.gpu: sweep.measured for sweep in report.sweeps} == {"Fake GPU": TASKS, "Other GPU": TASKS}
    assert report.lost == ()
    assert len(finished(where, SYSTEM)) == len(finished(where, OTHER)) == TASKS
    again = measured(mixed, where)
    assert [(sweep.measured, sweep.skipped) for sweep in again.sweeps] == [(0, TASKS), (0, TASKS)]


def test_progress_is_that_of_the_whole_and_others_see_it(mixed: Fleet, tmp_path: Path) -> None:
    told: list[Progress] = []
    seen: list[FleetStatus] = []

    def watch(progress: Progress) -> None:
        told.append(progress)
        if not seen:
            with Fleet(mixed.address) as other:
                seen.append(status(other))

    measured(mixed, tmp_path / "m.sqlite", watch)
    assert [progress.done for progress in told] == list(range(2 * TASKS + 1))
    assert {progress.total for progress in told} == {2 * TASKS}
    assert told[0].left_s > told[-1].left_s
    assert [worker.card.system.gpu for worker in seen[0].workers] == sorted(KINDS)
    assert [(run.done, run.total) for run in seen[0].runs] == [(0, 2 * TASKS)]
    with Fleet(mixed.address) as other:
        assert status(other).runs == (), "it is over"


def test_a_status_says_who_is_there_and_how_far_the_runs_are(mixed: Fleet) -> None:
    import io

    from rich.console import Console

    screen = Console(file=io.StringIO(), width=200)
    render_status(status(mixed), screen)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert re.match(r"3 GPUs of 2 kinds at tcp://127\.0\.0\.1:\d+\n", text)
    assert f"{SYSTEM.id}: {SYSTEM.title}" in text
    assert text.count("2 at a time") == 3


def test_any_job_that_needs_a_gpu_goes_through_a_fleet(mixed: Fleet) -> None:
    def items() -> Iterator[Item]:
        yield JobItem("measure.odd_jobs:chatter", {"x": [1, 2]})

    answers = list(mixed.perform({OTHER: items(), SYSTEM: items()}))
    assert {answer.system for answer in answers} == {SYSTEM, OTHER}
    gpus = {answer.system: answer.told["echo"]["gpu"] for answer in answers}
    assert gpus[OTHER] == 2
    assert gpus[SYSTEM] in (0, 1)


def test_what_an_item_raises_ends_the_run_as_itself(mixed: Fleet) -> None:
    jobs = iter([JobItem("measure.odd_jobs:fail", {"how": "model"})])
    with pytest.raises(ModelError, match="node 'conv1' cannot be read"):
        list(mixed.perform({SYSTEM: jobs}))


def test_a_kind_that_is_not_there_is_given_up_and_the_others_go_on(mixed: Fleet) -> None:
    nobody = replace(SYSTEM, gpu="Nobody's GPU")
    lost: list[System] = []
    with Fleet(mixed.address, patience_s=0.5) as impatient:
        answers: list[Answer] = list(
            impatient.perform(
                {kind: iter([JobItem("measure.odd_jobs:chatter")]) for kind in (nobody, SYSTEM)},
                lambda system, why: lost.append(system),
            )
        )
        assert [answer.system for answer in answers] == [SYSTEM]
        assert lost == [nobody]
        with pytest.raises(GpuError, match=r"Nobody's GPU .* no worker was left"):
            list(impatient.perform({nobody: iter([JobItem("measure.odd_jobs:chatter")])}))


def test_a_file_is_no_database_for_workers_on_other_machines(
    mixed: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headroom.measure.fleet.place.this_machine", lambda: "another")
    with pytest.raises(UsageError, match=r"do not share the file .*m\.sqlite: name a PostgreSQL database"):
        measured(mixed, tmp_path / "m.sqlite")


def test_workers_of_another_version_are_refused(mixed: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headroom.measure.fleet.fleet.__version__", "0.0.1")
    with pytest.raises(UsageError, match=r"has Headroom .*, this is 0\.0\.1: install one version"):
        mixed.cards()


def test_a_worker_that_is_killed_loses_nothing_and_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, plan_s=0.02, gpus=["Fake GPU"] * 2, turns=str(tmp_path)))
    where = tmp_path / "m.sqlite"
    with local_fleet(seats=1) as address, Fleet(address) as fleet:
        before = fleet.cards()
        killer = Killer(2, lambda: next(iter(before.values())).pid)
        report = measured(fleet, where, killer)
        (sweep,) = report.sweeps
        assert killer.victim is not None
        assert (sweep.measured + sweep.done_by_others, sweep.left, report.lost) == (TASKS, 0, ())
        assert len(finished(where)) == TASKS
        assert measured(fleet, where).sweeps[0].skipped == TASKS
        after = wait_for(fleet.cards, 2)
        assert killer.victim not in {card.pid for card in after.values()}


def test_a_run_whose_scheduler_is_killed_says_so_and_the_next_one_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, plan_s=0.02, gpus=["Fake GPU"], turns=str(tmp_path)))
    where = tmp_path / "m.sqlite"
    with local_fleet(seats=1) as address, Fleet(address) as fleet:
        killer = Killer(2, lambda: fleet.client.run_on_scheduler(os.getpid))
        with pytest.raises(
            GpuError, match=r"scheduler at .* does not answer any more: .* layers that were done are kept"
        ):
            measured(fleet, where, killer)
    known = finished(where)
    assert known, "what was done before is kept"
    with local_fleet(seats=1) as address, Fleet(address) as fleet:
        (sweep,) = measured(fleet, where).sweeps
    assert (sweep.skipped, sweep.measured) == (len(known), TASKS - len(known))
    assert len(finished(where)) == TASKS


def test_a_gpu_of_no_use_leaves_its_layers_to_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken: dict[str, Any] = {"start": "refuse", "broken": [1, 2]}
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, gpus=KINDS, **broken))
    with local_fleet(seats=1) as address, Fleet(address) as fleet:
        report = measured(fleet, tmp_path / "m.sqlite")
        pids = [card.pid for card in fleet.cards().values()]
    by_gpu = {sweep.system.gpu: sweep for sweep in report.sweeps}
    assert by_gpu["Fake GPU"].measured == TASKS
    assert (by_gpu["Other GPU"].measured, by_gpu["Other GPU"].left) == (0, TASKS)
    (lost,) = report.lost
    assert re.fullmatch(rf"Other GPU \({OTHER.id}\): there is no GPU 2; .*", lost)
    wait_until_gone(pids, within_s=PATIENCE_S)
