"""Whole networks and counters beside the layers: asked for once, kept at once, said at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headroom.cli import measuring
from headroom.graph.chain import graph_digest
from headroom.graph.tensor import DataType
from headroom.measure import extras
from headroom.measure.again import Again
from headroom.measure.counters.client import Count
from headroom.measure.counters.request import Counted, Subject
from headroom.measure.extras import Extras
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.networks.modes import usual_modes
from headroom.store.notebook import Notebook, open_for_measuring
from headroom.store.rows import Counters, NetworkTiming, Status, Sweep
from headroom.store.store import Store
from measure.chains import net
from measured_rows import SYSTEM
from recorded import model_parts, sweep

BF16 = DataType.BF16
NET = net()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    with open_for_measuring(tmp_path / "rows.sqlite") as opened:
        for chain in model_parts(NET):
            opened.record(sweep(chain))
        yield opened


def run_of(mode: str) -> NetworkTiming:
    status, median_us = (Status.FAILED, None) if mode == "compile" else (Status.OK, 100.0 + len(mode))
    reason = "no compiler" if median_us is None else ""
    return NetworkTiming(graph_digest(NET), "net", 1, BF16, mode, status, reason, median_us, 1.0, 20)


class Networks:
    """In place of the worker: notes what was asked for, and stops after ``most`` modes."""

    def __init__(self, most: int = 100) -> None:
        self.asked: list[Sequence[str]] = []
        self._most = most

    def __call__(
        self, model: str, dtype: DataType, *, modes: Sequence[str], on_timing: Callable[..., None], **rest: Any
    ) -> None:
        self.asked.append(tuple(modes))
        for mode in modes[: self._most]:
            on_timing(run_of(mode))
        if self._most < len(modes):
            raise KeyboardInterrupt


def test_a_network_is_run_once_in_each_mode_and_resumed(store: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted, resumed, idle = Networks(most=2), Networks(), Networks()
    run = Extras(store, SYSTEM).networks
    monkeypatch.setattr(extras, "measure_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("net", NET, BF16, batch=1, dims={})
    monkeypatch.setattr(extras, "measure_network", resumed)
    rows = run("net", NET, BF16, batch=1, dims={})
    assert resumed.asked == [usual_modes()[2:]]
    assert {row.mode for row in rows} == set(usual_modes())
    monkeypatch.setattr(extras, "measure_network", idle)
    run("net", NET, BF16, batch=1, dims={})
    assert idle.asked == []
    store.record_network(SYSTEM, replace(run_of("cuda-graph"), status=Status.THROTTLED))
    run("net", NET, BF16, batch=1, dims={})
    assert idle.asked == [("cuda-graph",)], "a GPU that was throttled cools down"


@pytest.mark.parametrize(("failed_only", "modes"), [(True, ("compile",)), (False, usual_modes())])
def test_a_network_is_run_again_in_the_modes_that_are_wanted(
    store: Notebook, monkeypatch: pytest.MonkeyPatch, failed_only: bool, modes: Sequence[str]
) -> None:
    for mode in usual_modes():
        store.record_network(SYSTEM, run_of(mode))
    again = Networks()
    monkeypatch.setattr(extras, "measure_network", again)
    Extras(store, SYSTEM, again=Again(failed_only=failed_only)).networks("net", NET, BF16, batch=1, dims={})
    assert again.asked == [modes]


def test_networks_are_shown_fastest_first_and_failures_with_their_reason() -> None:
    lines = measuring.networks([run_of("compile"), run_of("cuda-graph"), run_of("eager")])
    assert lines == [
        "net as a whole, batch 1, bf16, eager: 105 µs",
        "net as a whole, batch 1, bf16, cuda-graph: 110 µs",
        "net as a whole, compile: failed: no compiler",
    ]


def counts(subjects: Sequence[Subject], **rest: Any) -> Count:
    first, *others = subjects
    counters = Counters(first.implementation, 3e6, 2e6, 1e6, 0.5, 1.2)
    return Count((Counted(first, counters), *(Counted(one, None, "ncu saw no kernel of it") for one in others)))


def test_counters_are_kept_and_not_counted_again(store: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "count", counts)
    count = Extras(store, SYSTEM).counters
    assert count(NET, BF16) == (1, "ncu saw no kernel of it")
    left = []
    monkeypatch.setattr(extras, "count", lambda subjects, **rest: left.extend(subjects) or counts(subjects))
    count(NET, BF16)
    assert len(left) == 3, "four distinct layers, one of which was counted"


def test_without_the_privilege_counting_says_so_and_goes_on(store: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "count", lambda subjects, **rest: Count((), "ncu lacks the privilege"))
    assert Extras(store, SYSTEM).counters(NET, BF16) == (0, "ncu lacks the privilege")
    assert measuring.counted(0, "ncu lacks the privilege") == ["not counted: ncu lacks the privilege"]


def test_the_summary_tells_what_analyze_says_from_now_on(store: Notebook, tmp_path: Path) -> None:
    asked = measuring.Asked("my net.onnx", 1, {"sequence": 128}, f"sqlite:///{tmp_path / 'rows.sqlite'}")
    (line,) = measuring.outlook(asked, NET, BF16, SYSTEM)
    command, said = line.split(" now says for batch 1: ")
    assert said.startswith("lower bound ")
    assert said.endswith("4 of 4 distinct layers measured")
    options = f"--gpu h200 --dtype bf16 --batch 1 --dim sequence=128 --db {tmp_path / 'rows.sqlite'}"
    assert command == f"headroom analyze 'my net.onnx' {options}"


def test_the_quoted_command_names_the_system_where_another_would_answer(store: Notebook, tmp_path: Path) -> None:
    newer = replace(SYSTEM, driver="590.1")
    store.record(sweep(next(model_parts(NET)), newer))
    (line,) = measuring.outlook(measuring.Asked("net.onnx", db=str(tmp_path / "rows.sqlite")), NET, BF16, newer)
    assert f" --system {newer.id} now says for batch 1: " in line
    assert line.endswith("1 of 4 distinct layers measured")


def test_a_gpu_without_a_sheet_has_no_outlook(tmp_path: Path) -> None:
    system = fake_facts(Script()).system
    with Store.open(tmp_path / "rows.sqlite") as opened:
        for chain in model_parts(NET):
            opened.record(Sweep(system, chain, BF16, "all", sweep(chain).timings, 0.1))
    asked = measuring.Asked("net.onnx", db=str(tmp_path / "rows.sqlite"))
    assert list(measuring.outlook(asked, NET, BF16, system)) == []
