"""Width sweeps and probes over a fleet: the same answers as on one GPU."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import headroom as hr
from headroom.cli.main import run
from headroom.errors import GpuError, UsageError
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.fleet import items
from headroom.measure.fleet.fleet import Fleet
from headroom.measure.fleet.items import JobItem
from headroom.measure.fleet.local import local_fleet
from headroom.measure.probe import client
from headroom.measure.probe.result import Figure, Probe
from headroom.store.rows import System
from measure.chains import script
from measure_fleet.fleets import SYSTEM, finished

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

CONV = "c=256:512:256,h=16,w=16,k=64:256:16"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADROOM_BENCH", script(plans=2, gpus=["Fake GPU", "Fake GPU", "Other GPU"]))
        with local_fleet([0, 1], seats=1) as address, Fleet(address) as there:
            yield there


def test_staircases_over_a_fleet_are_those_of_one_gpu(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths: list[int] = []
    many = hr.measure_staircase(conv=CONV, db=tmp_path / "many.sqlite", fleet=fleet, on_width=widths.append)
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2))
    one = hr.measure_staircase(conv=CONV, db=tmp_path / "one.sqlite")
    assert many == one
    assert finished(tmp_path / "many.sqlite") == finished(tmp_path / "one.sqlite")
    assert len(widths) == len(finished(tmp_path / "many.sqlite"))
    assert hr.measure_staircase(conv=CONV, db=tmp_path / "many.sqlite", fleet=fleet) == many


def test_a_fleet_of_two_kinds_asks_which_is_meant(fleet: Fleet, tmp_path: Path) -> None:
    kinds = fleet.kinds()
    both = type("Both", (), {"kinds": lambda self: kinds * 2})()
    with pytest.raises(UsageError, match="which of the fleet's GPUs is"):
        hr.measure_staircase(conv=CONV, db=tmp_path / "m.sqlite", fleet=both)


class _Answering:
    """A fleet of two kinds whose workers answer at once."""

    def __init__(self, told: dict[System, object]) -> None:
        self._told, self.asked = told, dict[System, items.Item]()

    def kinds(self) -> list[object]:
        return [type("Kind", (), {"system": system})() for system in self._told]

    def perform(self, agendas: dict[System, Iterator[items.Item]]) -> Iterator[object]:
        for system, agenda in agendas.items():
            self.asked[system] = next(agenda)
            yield type("Answer", (), {"system": system, "told": self._told[system]})()


OTHER = fake_facts(Script(gpus=("Other GPU",))).system


def _probe(gpu: str) -> Probe:
    figures = (Figure("sms", 132.0, "", "told by the driver"),)
    return Probe(gpu, "580", "2026-11-21", "9.0", True, figures, ())


def test_a_probe_goes_to_one_gpu_of_every_kind() -> None:
    there = _Answering({system: _probe(system.gpu).to_json() for system in (SYSTEM, OTHER)})
    found = client.probe_fleet(there, quick=True)  # type: ignore[arg-type]
    assert {system: probe.gpu for system, probe in found.items()} == {SYSTEM: "Fake GPU", OTHER: "Other GPU"}
    assert there.asked[SYSTEM] == JobItem("probe", {"quick": True}, client.LIMIT_S)
    with pytest.raises(GpuError, match="two workers died while they probed Fake GPU"):
        client.probe_fleet(_Answering({SYSTEM: None}))  # type: ignore[arg-type]


def test_every_kind_that_was_probed_has_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = _Answering({system: _probe(system.gpu).to_json() for system in (SYSTEM, OTHER)})
    from contextlib import nullcontext

    monkeypatch.setattr("headroom.cli.fleets.connected", lambda fleet, tls: nullcontext(there))
    out = tmp_path / "curves.json"
    assert run(["gpus", "probe", "--fleet", "local", "--quick", "--json", str(out)]) == 0
    files = {json.loads(file.read_text())["gpu"]: file.name for file in tmp_path.iterdir()}
    assert files == {"Fake GPU": f"curves-{SYSTEM.id}.json", "Other GPU": f"curves-{OTHER.id}.json"}


def test_a_fleet_is_for_measuring(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["staircase", "--conv", CONV, "--fleet", "local", "--gpu", "h200"]) == 2
    assert "a fleet measures: give --measure as well" in capsys.readouterr().err
