"""``headroom measure``: load, see what the database lacks, measure it, say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import (
    Again,
    Direction,
    Plans,
    check_fleet,
    parse_batches,
    parse_dims,
    parse_dtypes,
    parse_seconds,
)


def measure(
    model: Annotated[str, typer.Argument(help="An .onnx file, or package.module:callable.")],
    dtype: Annotated[str | None, typer.Option(help="Data types: TYPE, or TYPE,TYPE,….")] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per run: N, or N,N,….")] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Pin a symbolic dimension: NAME=N.")] = None,
    db: Annotated[str | None, typer.Option(help="The database: a file or postgresql://….")] = None,
    gpu: Annotated[int, typer.Option(min=0, help="Index of the GPU to measure on.")] = 0,
    plans: Annotated[Plans, typer.Option(help="What libraries propose, or all they list.")] = Plans.ALL,
    fused: Annotated[bool, typer.Option(help="Also measure chains of layers as one kernel.")] = True,
    direction: Annotated[Direction, typer.Option(help="Forward, a gradient, or all three.")] = Direction.FORWARD,
    budget: Annotated[str | None, typer.Option(help="Stop after this long: 60s, 5m, 2h.")] = None,
    again: Annotated[Again | None, typer.Option(help="Measure what is known too: all, or what failed.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Measure although others use the GPU.")] = False,
    network: Annotated[bool, typer.Option("--network", help="Also run the whole network in frameworks.")] = False,
    counters: Annotated[bool, typer.Option("--counters", help="Also count bytes with ncu.")] = False,
    fleet: Annotated[str | None, typer.Option(help="On many GPUs: a scheduler's HOST:PORT, or local.")] = None,
    tls: Annotated[Path | None, typer.Option(help="The fleet's credentials: ca.pem, cert.pem, key.pem.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Measure every layer of a model in every way it can run, most valuable first; interrupted, it resumes.

    Example: `headroom measure resnet50.onnx --dtype bf16,tf32 --batch 1,32 --budget 5m`
    """
    import headroom as hr
    from headroom.cli.ahead import import_ahead

    batches, dims = parse_batches(batch), parse_dims(dim or [])
    wanted, budget_s = parse_dtypes(dtype), parse_seconds(budget)
    check_fleet(fleet, alone={"--gpu": bool(gpu), "--network": network, "--counters": counters}, tls=tls)
    import_ahead("headroom.cli.measuring", "headroom.store.notebook", "headroom.measure.run", "pynvml")
    graphs = [hr.load(model, batch=samples, dims=dims) for samples in batches]

    from headroom.cli.measuring import Asked, Watch, counted, networks, outlook, summary
    from headroom.measure import again as measure_again
    from headroom.measure.run import Wishes, measure_graphs, usual_dtype
    from headroom.store.notebook import open_for_measuring

    show = _printer(quiet=quiet)
    anew = None if again is None else measure_again.Again(failed_only=again is Again.FAILED)
    wishes = Wishes(plans, fused, direction, budget_s, shared, again=anew)
    if fleet is not None:
        from headroom.cli.measuring_fleet import measure_with

        asked = [(Asked(model, samples, dims, db), graph) for samples, graph in zip(batches, graphs, strict=True)]
        measure_with(fleet, tls, asked, wanted, wishes, show, quiet=quiet)
        return
    dtypes = wanted or (usual_dtype(gpu),)
    with open_for_measuring(db) as notebook, Watch(quiet=quiet) as watch:
        try:
            report = measure_graphs(graphs, dtypes, notebook, gpu=gpu, wishes=wishes, on_progress=watch)
        except KeyboardInterrupt:
            show(watch.how_far(resumes=again is not Again.ALL))
            raise
        watch.end()
        show(summary(report))
        extras = None
        if network or counters:
            from headroom.measure.extras import Extras

            extras = Extras(notebook, report.system, gpu, shared, anew)
        for samples, graph in zip(batches, graphs, strict=True):
            for data_type in dtypes:
                if extras is not None and network:
                    show(networks(extras.networks(model, graph, data_type, batch=samples, dims=dims)))
                if extras is not None and counters:
                    show(counted(*extras.counters(graph, data_type)))
                show(outlook(Asked(model, samples, dims, db), graph, data_type, report.system))


def _printer(*, quiet: bool) -> Callable[[Iterable[str]], None]:
    """What shows lines. A quiet one imports nothing to show them with, and does not ask for the lines."""
    if quiet:
        return lambda lines: None
    from headroom.cli.screen import Screen

    screen = Screen()

    def show(lines: Iterable[str]) -> None:
        for line in lines:
            screen.print(line, markup=False, soft_wrap=True)

    return show
