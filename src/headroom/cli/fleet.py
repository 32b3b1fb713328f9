"""``headroom fleet``: a scheduler, this machine's workers, and what a fleet is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

fleet = typer.Typer(name="fleet", help="Start a scheduler or this machine's workers, or see what a fleet does.")

Tls = Annotated[Path | None, typer.Option(help="A folder with ca.pem, cert.pem and key.pem.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Go beyond this machine without TLS.")]
Scheduler = Annotated[str, typer.Argument(help="The scheduler's address: HOST:PORT.")]


@fleet.command("scheduler")
def scheduler(
    host: Annotated[str, typer.Option(help="The interface to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8786,
    tls: Tls = None,
    insecure: Insecure = False,
) -> None:
    """Keep a fleet together until Ctrl-C; workers and runs name its address.

    Example: `headroom fleet scheduler --host 10.0.0.1 --tls credentials/`
    """
    from headroom.measure.fleet.dask import distributed, refuse_the_open, security
    from headroom.measure.fleet.stay import keep_scheduler

    distributed()
    refuse_the_open(host, tls, insecure=insecure)
    security(tls)
    keep_scheduler(host, port, tls, typer.echo)


@fleet.command("worker")
def worker(
    scheduler: Scheduler,
    gpu: Annotated[list[int] | None, typer.Option(min=0, help="Only this GPU; may be repeated.")] = None,
    seats: Annotated[int | None, typer.Option(min=1, help="Layers at a time per GPU; default: by its cores.")] = None,
    tls: Tls = None,
    insecure: Insecure = False,
) -> None:
    """Put this machine's GPUs at a fleet's service until Ctrl-C; workers that die are started anew.

    Example: `headroom fleet worker 10.0.0.1:8786 --tls credentials/`
    """
    from headroom.errors import GpuError
    from headroom.measure.driver import count_gpus
    from headroom.measure.fleet.dask import distributed, full_address, host_of, refuse_the_open, security
    from headroom.measure.fleet.stay import keep_workers

    distributed()
    refuse_the_open(host_of(scheduler), tls, insecure=insecure)
    security(tls)
    address = full_address(scheduler, tls)
    gpus = list(dict.fromkeys(gpu)) if gpu else list(range(count_gpus()))
    if not gpus:
        raise GpuError("this machine shows no GPU to put at a fleet's service (see nvidia-smi)")
    keep_workers(address, gpus, seats, tls, typer.echo)


@fleet.command("status")
def show_status(scheduler: Scheduler, tls: Tls = None) -> None:
    """The workers by kind of GPU, what each measures, and how far the runs are.

    Example: `headroom fleet status 10.0.0.1:8786 --tls credentials/`
    """
    from headroom.cli.screen import Screen
    from headroom.measure.fleet.dask import distributed, hush
    from headroom.measure.fleet.fleet import Fleet
    from headroom.measure.fleet.status import status
    from headroom.report.fleet import render_status

    distributed()
    hush()
    with Fleet(scheduler, tls=tls) as there:
        render_status(status(there), Screen())
