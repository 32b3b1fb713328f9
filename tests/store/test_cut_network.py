"""Promises 1 and 5 on a server: a network that is cut costs the layer in flight at most, and is told in a sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from headroom.errors import StoreError
from headroom.measure.fake_script import Script, fake_facts
from headroom.store.check import problems
from headroom.store.store import Store
from measure.chains import script
from measure.processes import environment
from store.cut_wire import CutWire
from store.factory import BF16, SYSTEM, make_chain, make_sweep

MODEL = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"

#: Places of one record's traffic at which it is cut; at the last, all of it has arrived and the answer gets lost.
CUTS = 24

TOLD = r"the database \S+ (has lost its server|cannot be reached): check .+"


@pytest.fixture
def wire(postgres: str) -> Iterator[CutWire]:
    with CutWire(make_url(postgres).port or 0) as wire:
        yield wire


@pytest.fixture
def far(postgres: str, wire: CutWire) -> str:
    """The database, at the far end of the wire."""
    return make_url(postgres).set(port=wire.port).render_as_string(hide_password=False)


def test_a_cut_in_the_middle_of_a_record_costs_at_most_that_layer(postgres: str, far: str, wire: CutWire) -> None:
    kept = set()
    for number in range(2):  # what all layers share is written with the first
        opened, recorded = _traffic(far, wire, number)
        kept.add(number)
    for cut in range(CUTS + 1):
        wire.cut_after(opened + (recorded - opened) * cut // CUTS)
        number = 10 + cut  # equally long in every row
        with pytest.raises(StoreError, match=f"^{TOLD}$"), Store.open(far) as store:
            store.record(make_sweep(number))
        wire.mend()
        assert kept <= _whole(postgres) <= kept | {number}
        with Store.open(far) as store:
            store.record(make_sweep(number))
        kept.add(number)
    assert _whole(postgres) == kept
    with Store.open(postgres) as near:
        assert problems(near) == ()


def test_a_run_goes_on_where_the_network_is_back(far: str, wire: CutWire) -> None:
    with Store.open(far) as store:
        store.record(make_sweep(0))
        wire.cut_after(0)
        with pytest.raises(StoreError, match=f"^{TOLD}$"):
            store.record(make_sweep(1))
        wire.mend()
        store.record(make_sweep(1))
        assert len(store.finished(SYSTEM, BF16, "all")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="takes turns by a file lock")
def test_a_run_whose_network_is_cut_says_so_ends_with_5_and_is_resumed(postgres: str, far: str, wire: CutWire) -> None:
    wire.cut_after(250_000)
    cut = _measured(far)
    assert cut.returncode == 5
    assert re.fullmatch(f"headroom: {TOLD}\n", cut.stderr), cut.stderr
    known = _finished(postgres)
    assert known, "what was measured before the cut is kept"
    resumed = _measured(postgres)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{len(known)} known before" in resumed.stdout
    assert known < _finished(postgres)


def _traffic(place: str, wire: CutWire, number: int) -> tuple[int, int]:
    """Bytes that go to the server until a database is open, and until a layer is in it too."""
    begin = wire.sent
    with Store.open(place) as store:
        opened = wire.sent - begin
        store.record(make_sweep(number))
        return opened, wire.sent - begin


def _whole(place: str) -> set[int]:
    """The layers that are there, each with all its rows."""
    with Store.open(place) as store:
        finished = store.finished(SYSTEM, BF16, "all")
        numbers = {number for number in range(10 + CUTS + 1) if make_chain(number).digest in finished}
        for number in numbers:
            assert set(store.timings(make_chain(number).digest, SYSTEM, BF16)) == set(make_sweep(number).timings)
    return numbers


def _measured(place: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "headroom", "measure", MODEL, "--db", place]
    surroundings = environment(HEADROOM_BENCH=script(plans=2))
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=120)


def _finished(place: str) -> frozenset[str]:
    with Store.open(place) as store:
        return store.finished(fake_facts(Script()).system, BF16, "all")
