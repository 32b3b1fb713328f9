"""The processes of a fleet: a scheduler, and one worker per GPU. Each says one line when it is ready, or why not.

They are started by :mod:`headroom.measure.fleet.child` and end with whoever started them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from headroom.children import die_with
from headroom.errors import HeadroomError
from headroom.measure.crew import default_size
from headroom.measure.driver import driver_of
from headroom.measure.fleet.card import Card
from headroom.measure.fleet.dask import LOOPBACK, distributed, host_of, hush, security
from headroom.measure.fleet.station import Station, settle
from headroom.measure.run import expected_missing, expected_system

#: How often a worker sees whether its GPU can be left to others, in seconds.
_ROUND_S = 5.0


def main() -> None:
    """Be what the arguments say: who started us, and a JSON object that names a role and its fields."""
    die_with(int(sys.argv[1]))
    asked = json.loads(sys.argv[2])
    try:
        tls = Path(asked["tls"]) if asked["tls"] else None
        dask = distributed()
        hush()
        if asked["role"] == "scheduler":
            asyncio.run(_schedule(dask, asked["host"], asked["port"], tls))
        else:
            _work(dask, asked, tls)
    except HeadroomError as error:
        _say(error=str(error))
    except OSError as error:
        _say(error=f"it cannot listen or connect: {error}")
    except Exception as error:  # noqa: BLE001 - dask's own: whoever started us tells it
        cause = error.__cause__ or error
        _say(error=f"{type(cause).__name__}: {cause}")
    # Threads that still wait for a layer would keep an orderly end waiting.
    os._exit(0)


def _say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def _schedule(dask: Any, host: str, port: int, tls: Path | None) -> None:
    scheduler = dask.Scheduler(
        host=host,
        port=port,
        protocol="tcp" if tls is None else "tls",
        security=security(tls),
        dashboard=False,
        # It listens even without anything to show.
        dashboard_address=f"{LOOPBACK}:0",
    )
    async with scheduler:
        _say(address=scheduler.address)
        await scheduler.finished()


def _work(dask: Any, asked: dict[str, Any], tls: Path | None) -> None:
    gpu = asked["gpu"]
    with driver_of(gpu) as driver:
        size = asked["seats"] or default_size(driver.memory_bytes, asked["gpus"])
        station = Station(driver, Card(expected_system(driver), gpu, driver.uuid, size, tuple(expected_missing())))
        settle(station)
        asyncio.run(_serve(dask, asked["scheduler"], station, asked["folder"], tls))


async def _serve(dask: Any, scheduler: str, station: Station, folder: str, tls: Path | None) -> None:
    """Work until the scheduler is gone. Dask waits for one that is not there yet."""
    card = station.card
    worker = dask.Worker(
        scheduler,
        name=f"{card.host} GPU {card.gpu} ({card.pid})",
        nthreads=card.seats,
        resources={card.resource: card.seats},
        memory_limit=0,
        host=LOOPBACK if host_of(scheduler) in (LOOPBACK, "localhost") else None,
        security=security(tls),
        local_directory=folder,
        dashboard=False,
        dashboard_address=f"{LOOPBACK}:0",
    )
    async with worker:
        station.address = worker.address
        _say(address=worker.address, system=card.system.title, seats=card.seats)
        idle = asyncio.create_task(_rest(station))
        await worker.finished()
        idle.cancel()
    station.close()


async def _rest(station: Station) -> None:
    while True:
        await asyncio.sleep(_ROUND_S)
        await asyncio.to_thread(station.rest)
