"""A worker's station: its processes, who may be there with whom, and when the GPU is left to others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headroom.errors import GpuError, HeadroomError
from headroom.measure.driver import driver_of
from headroom.measure.fleet import station as stations
from headroom.measure.fleet.card import Card
from headroom.measure.fleet.items import Declined, JobItem, LayerItem, Order, Told, perform
from headroom.measure.fleet.station import Station
from headroom.store.rows import Status
from measure.chains import CONV, RELU, script, task
from measure_fleet.fleets import PATIENCE_S, SYSTEM, finished


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    monkeypatch.setenv("HEADROOM_BENCH", script(plans=2))
    monkeypatch.setattr(stations, "_HERE", [])
    with driver_of(0) as driver:
        made = Station(driver, Card(SYSTEM, 0, driver.uuid, 2))
        stations.settle(made)
        yield made
        made.rest(idle_s=0.0)
        made.close()


def test_a_layer_is_measured_and_written_where_it_is_handed_to_and_then_known(station: Station, tmp_path: Path) -> None:
    where = tmp_path / "m.sqlite"
    item = LayerItem(task(RELU), Order(str(where)))
    told = perform(item)
    assert isinstance(told, Told)
    assert not told.is_known
    assert told.statuses[Status.OK] > 0
    assert told.winner == "fake"
    assert finished(where) == {RELU.digest}
    assert perform(item) == Told(is_known=True), "a task that runs a second time measures nothing"


def test_a_database_that_was_deleted_or_replaced_is_opened_anew(station: Station, tmp_path: Path) -> None:
    where = tmp_path / "m.sqlite"
    item = LayerItem(task(RELU), Order(str(where)))
    perform(item)
    for file in tmp_path.glob("m.sqlite*"):
        file.unlink()
    told = perform(item)
    assert isinstance(told, Told)
    assert not told.is_known, "what was deleted is known no more"
    assert finished(where) == {RELU.digest}
    assert perform(item) == Told(is_known=True)


def test_a_gpu_that_somebody_uses_is_declined_in_their_name(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headroom.measure.busy.SETTLING_S", 0.0)
    users = script(plans=2, processes=[[4711, "game"]])
    monkeypatch.setenv("HEADROOM_BENCH", users)
    with driver_of(0) as driver:
        station.driver = driver
        told = perform(LayerItem(task(RELU), Order(str(tmp_path / "m.sqlite"))))
        assert isinstance(told, Declined)
        assert "process 4711 (game) computes on it" in told.reason
        shared = perform(LayerItem(task(RELU), Order(str(tmp_path / "m.sqlite"), shared=True)))
        assert isinstance(shared, Told)


def test_an_idle_gpu_is_left_to_others_and_taken_again(station: Station, tmp_path: Path) -> None:
    order = Order(str(tmp_path / "m.sqlite"))
    perform(LayerItem(task(RELU), order))
    assert station._started() == 1
    station.rest(idle_s=3600.0)
    assert station._started() == 1, "it worked a moment ago"
    station.rest(idle_s=0.0)
    assert station._started() == 0
    assert isinstance(perform(LayerItem(task(CONV), order)), Told)


def test_a_job_has_its_gpu_alone(station: Station) -> None:
    inside, may_go, entered = threading.Event(), threading.Event(), threading.Event()

    def measure() -> None:
        with station.together():
            inside.set()
            may_go.wait(PATIENCE_S)

    def job() -> None:
        with station.alone():
            entered.set()

    threads = [threading.Thread(target=measure)]
    threads[0].start()
    assert inside.wait(PATIENCE_S)
    threads.append(threading.Thread(target=job))
    threads[1].start()
    assert not entered.wait(0.05), "somebody measures"
    may_go.set()
    assert entered.wait(PATIENCE_S)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert perform(JobItem("measure.odd_jobs:chatter"))["echo"] == {"gpu": 0}


def test_a_job_that_kills_its_process_is_gpu_trouble_and_no_death_of_the_station(station: Station) -> None:
    told = perform(JobItem("measure.odd_jobs:die"))
    assert isinstance(told, Declined)
    assert "measure.odd_jobs:die failed on GPU 0" in told.reason
    assert perform(JobItem("measure.odd_jobs:chatter"))["echo"] == {"gpu": 0}


def test_what_the_station_does_can_be_glanced_at(station: Station) -> None:
    with station.busy("conv1"):
        assert stations.glance() == ["conv1"]
    assert stations.glance() == []
    assert stations.card() is station.card


def test_a_dask_worker_without_a_gpu_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stations, "_HERE", [])
    with pytest.raises(HeadroomError, match="start it with headroom fleet worker") as raised:
        perform(JobItem("selftest"))
    assert not isinstance(raised.value, GpuError)
