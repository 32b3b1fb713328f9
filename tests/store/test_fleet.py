"""Fleets that share a PostgreSQL database, lose it, or lose the network to a machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url

from headroom.errors import StoreError
from headroom.measure.fake_script import Script, fake_facts
from headroom.measure.fleet.child import Child, Hands
from headroom.measure.fleet.fleet import Fleet
from headroom.measure.fleet.local import local_fleet
from headroom.measure.fleet.sweep import measure_on_fleet
from headroom.measure.sweep import Progress
from measure.chains import script
from measure_fleet.fleets import BF16, PATIENCE_S, SYSTEM, TASKS, finished, measured, wait_for
from store.cut_wire import CutWire

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes turns by a file lock")

MODEL = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"
OTHER = fake_facts(Script(gpus=("Other GPU",))).system


def test_a_fleet_of_two_kinds_fills_one_postgres_database(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, gpus=["Fake GPU", "Other GPU"]))
    with local_fleet(seats=2) as address, Fleet(address) as fleet:
        report = measured(fleet, postgres)
    assert [sweep.measured for sweep in report.sweeps] == [TASKS, TASKS]
    assert len(finished(postgres, SYSTEM)) == len(finished(postgres, OTHER)) == TASKS


def test_a_fleet_that_loses_its_database_says_so_and_the_next_run_resumes(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, plan_s=0.02))
    with CutWire(make_url(postgres).port or 0) as wire, local_fleet([0], seats=1) as address, Fleet(address) as fleet:
        far = make_url(postgres).set(port=wire.port).render_as_string(hide_password=False)

        def cut(progress: Progress) -> None:
            if progress.done == 2:
                wire.cut_after(0)

        with pytest.raises(StoreError, match=r"has lost its server|cannot be reached"):
            measured(fleet, far, cut)
        known = finished(postgres)
        assert len(known) >= 2
        wire.mend()
        (sweep,) = measured(fleet, far).sweeps
        assert (sweep.skipped, sweep.measured + sweep.done_by_others) == (len(known), TASKS - len(known))
    assert len(finished(postgres)) == TASKS


@pytest.mark.long
def test_thirty_two_writers_of_a_fleet_share_a_postgres_database(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import headroom as hr

    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, gpus=["Fake GPU"] * 4))
    graph = hr.load(MODEL)
    with local_fleet(seats=8) as address, Fleet(address) as fleet:
        (kind,) = fleet.kinds()
        assert kind.seats == 32
        (sweep,) = measure_on_fleet(fleet, [graph], [BF16], where=postgres).sweeps
    assert (sweep.measured + sweep.done_by_others, sweep.left, sweep.failed) == (78, 0, 0)
    assert len(finished(postgres)) == 78


@dataclass(frozen=True)
class Elsewhere:
    """A network of its own on this machine, and the wire that leads there."""

    name: str
    near: str
    link: str

    def command(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]

    def cut(self) -> None:
        _ip("link", "set", self.link, "down")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Needs root, and a system that lets it make networks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 to make a network of its own")
    number = os.getpid() % 60_000
    subnet = f"10.{200 + number // 15_000}.{number // 60 % 250}.{number % 60 * 4}"
    near, far = (subnet.rpartition(".")[0] + f".{int(subnet.rpartition('.')[2]) + host}" for host in (1, 2))
    there = Elsewhere(f"hr{number}", near, f"hra{number}")
    try:
        _ip("netns", "add", there.name)
    except subprocess.CalledProcessError:
        pytest.skip("this system lets nobody make a network of its own")
    try:
        try:
            _ip("link", "add", there.link, "type", "veth", "peer", "name", f"hrb{number}", "netns", there.name)
        except subprocess.CalledProcessError:
            pytest.skip("this system has no virtual network cables")
        _ip("addr", "add", f"{near}/30", "dev", there.link)
        _ip("link", "set", there.link, "up")
        for words in (
            ("addr", "add", f"{far}/30", "dev", f"hrb{number}"), ("link", "set", f"hrb{number}", "up"),
            ("link", "set", "lo", "up"),
        ):  # fmt: skip
            _ip("-n", there.name, *words)
        yield there
    finally:
        subprocess.run(["ip", "link", "del", there.link], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", there.name], check=False, capture_output=True)


@contextmanager
def far_worker(there: Elsewhere, address: str) -> Iterator[None]:
    """A worker on GPU 1, on the other side of the wire."""
    words = ["-m", "headroom", "fleet", "worker", address, "--gpu", "1", "--seats", "1", "--insecure"]
    process = subprocess.Popen(there.command(sys.executable, *words), stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.long
def test_a_machine_whose_network_is_cut_loses_only_what_it_was_measuring(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2, plan_s=0.05, gpus=["Fake GPU"] * 2))
    where = tmp_path / "m.sqlite"
    with ExitStack() as opened:
        scheduler = Child(role="scheduler", host=elsewhere.near, port=0, tls=None)
        opened.callback(scheduler.end)
        address = str(scheduler.ready()["address"])
        hands = Hands(address, [0], seats=1)
        opened.callback(hands.end)
        hands.start()
        opened.enter_context(far_worker(elsewhere, address.partition("://")[2]))
        fleet = opened.enter_context(Fleet(address))
        wait_for(fleet.cards, 2)
        (sweep,) = measured(fleet, where, _once(2, elsewhere.cut)).sweeps
        assert (sweep.measured + sweep.done_by_others, sweep.left) == (TASKS, 0)
        assert len(finished(where)) == TASKS
        assert sweep.wall_s < PATIENCE_S
        wait_for(fleet.cards, 1)


def _once(after: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    done: list[bool] = []

    def watch(progress: Progress) -> None:
        if progress.done >= after and not done:
            done.append(True)
            act()

    return watch
