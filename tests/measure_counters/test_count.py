"""The way through: parent, worker, ``ncu`` and the process that it watches, with a stand-in for GPU and ``ncu``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise
from headroom.measure.counters import ncu
from headroom.measure.counters.client import count
from headroom.measure.counters.parse import CountersError
from headroom.measure.counters.request import Subject
from headroom.measure.counters.runner import built
from headroom.measure.fake import FakeBench, Script
from headroom.measure.task import Task
from headroom.store.rows import Implementation
from measure_counters import recorded

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """An ``ncu`` that runs what it is given and writes recorded counters; its GPU is the fake."""

    def make(table: str = recorded.TWO_LAYERS, printed: str = "", runs: bool = True) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "ncu"
        script.write_text(
            f"#!{sys.executable}\n"
            "import subprocess, sys, pathlib\n"
            "arguments = sys.argv[1:]\n"
            "at = arguments.index('--log-file')\n"
            f"if {runs}: subprocess.run(arguments[at + 2:], check=False)\n"
            f"pathlib.Path(arguments[at + 1]).write_text({table!r})\n"
            f"print({printed!r})\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setenv("HEADROOM_BENCH", "fake")

    return make


def subjects(*names: str) -> list[Subject]:
    """Implementations of one chain; the fake's first where no name is given."""
    tensors = (TensorSpec("x", (64, 1024)),), (TensorSpec("y", (64, 1024)),)
    chain = Chain.of([Layer("relu", "Relu", Elementwise("relu", 65536, 1, True), tensors[0], (), tensors[1])])
    bench = FakeBench(Script(), 0)
    task = Task(chain, DataType.BF16)
    offered = [c.implementation for b in bench.backends for c in b.candidates(task, bench.operands(task))]
    known = {implementation.name: implementation for implementation in offered}
    return [
        Subject(chain, DataType.BF16, known.get(name, Implementation("fake", name)) if name else offered[0])
        for name in names
    ]


def test_each_layer_gets_the_counters_of_its_own_kernels(install: Install) -> None:
    install()
    one, two = subjects("", "")
    result = count([one, two])
    assert result.refused == ""
    first, second = (counted.counters for counted in result.counted)
    assert first is not None
    assert second is not None
    assert (first.dram_bytes, second.dram_bytes) == (2359296.0, 2605632.0)
    assert first.implementation == one.implementation


def test_a_layer_that_does_not_run_takes_nobody_elses_kernels(install: Install) -> None:
    install()
    result = count([*subjects("no such plan"), *subjects("", "")])
    gone, first, second = result.counted
    assert gone.counters is None
    assert gone.reason
    assert first.counters is not None
    assert first.counters.dram_bytes == 2359296.0
    assert second.counters is not None


def test_a_library_that_replays_by_name_is_not_asked_for_all_that_it_has() -> None:
    (one,) = subjects("plan1")
    program = object()

    class Replays:
        name = "fake"

        def candidate(self, task: Task, operands: object, implementation: Implementation) -> object:
            assert implementation == one.implementation
            return SimpleNamespace(build=lambda: program)

    bench = SimpleNamespace(backends=[Replays()], operands=lambda task: None)
    assert built(one, bench) is program  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (recorded.NO_PRIVILEGE, "ERR_NVGPUCTRPERM"),
        ("==ERROR== Cuda driver is not compatible with Nsight Compute.", "driver"),
    ],
)
def test_where_the_counters_are_closed_one_sentence_says_so_and_nothing_fails(
    install: Install, printed: str, said: str
) -> None:
    install(table="", printed=printed)
    result = count(subjects(""))
    assert result.counted == ()
    assert said in result.refused
    assert "\n" not in result.refused


def test_an_ncu_that_runs_nothing_is_said(install: Install) -> None:
    install(table="", printed="bus error", runs=False)
    assert "ncu ran nothing: bus error" in count(subjects("")).refused


def test_without_ncu_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ncu, "_PLACES", ())
    with pytest.raises(CountersError, match="install Nsight Compute"):
        ncu.count_with_ncu(subjects(""), 0)


def test_nothing_to_count_starts_no_worker() -> None:
    assert count([]).counted == ()


def test_a_subject_travels_as_json() -> None:
    (subject,) = subjects("")
    assert Subject.from_json(json.loads(json.dumps(subject.to_json()))) == subject
