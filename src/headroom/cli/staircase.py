"""``headroom staircase``: latency against width, its steps, and the widths worth having."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import L2State, Source, check_fleet, complete_gpu, parse_batches, parse_dims
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.graph.tensor import DataType


def staircase(
    model: Annotated[str | None, typer.Argument(help="An .onnx file, or package.module:callable.")] = None,
    layer: Annotated[str | None, typer.Option(help="One layer, by its name or its module's.")] = None,
    conv: Annotated[str | None, typer.Option(help="In place of a model: c=512,h=64,w=64,k=64:512,r=3,s=3,n=1.")] = None,
    widths: Annotated[str | None, typer.Option(help="Output widths: FROM:TO, or FROM:TO:STEP.")] = None,
    in_widths: Annotated[str | None, typer.Option(help="Input widths, a staircase for each.")] = None,
    gpu: Annotated[
        str | None, typer.Option(help="A GPU's id or sheet; this machine's.", autocompletion=complete_gpu)
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per run.")] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Pin a symbolic dimension: NAME=N.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Default: the GPU's 16-bit tensor type.")] = None,
    source: Annotated[Source, typer.Option(help="Where times come from.")] = Source.AUTO,
    db: Annotated[str | None, typer.Option(help="The performance database: a path or a URL.")] = None,
    system: Annotated[str | None, typer.Option(help="Whose measurements count: an id of db list.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.WARM,
    measure: Annotated[
        bool, typer.Option("--measure", help="First measure here, where a step can be: a quarter of the widths.")
    ] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Measure although others use the GPU.")] = False,
    fleet: Annotated[str | None, typer.Option(help="Measure on many GPUs: a scheduler's HOST:PORT, or local.")] = None,
    tls: Annotated[Path | None, typer.Option(help="The fleet's credentials: ca.pem, cert.pem, key.pem.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write every point as JSON; - is stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Latency against width: steps, candidates, and the widths that no wider layer beats.

    Example: `headroom staircase resnet50.onnx --layer layer3.0.conv2 --gpu h200 --html stairs.html`

    Without a model: `headroom staircase --conv c=512,h=64,w=64,k=64:512 --gpu h200`
    """
    import headroom as hr
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, refuse_overwriting
    from headroom.gpu.detect import detect_gpu
    from headroom.gpu.names import is_path
    from headroom.report.staircase_outputs import write_outputs
    from headroom.report.staircase_terminal import render

    batches, dims = parse_batches(batch), parse_dims(dim or [])
    if len(batches) > 1:
        raise UsageError("--batch names several batches; staircase takes one at a time")
    if conv is not None and (model, batches[0], dims) != (None, None, {}):
        raise UsageError("--conv stands in place of a model: leave out the model, --batch and --dim (n= is the batch)")
    if conv is None and model is None:
        raise UsageError("a staircase of what? Give a model, with --layer for one layer, or --conv")
    if measure and (source is not Source.AUTO or system is not None):
        raise UsageError("--measure answers from what it measures: leave out --source and --system")
    check_fleet(fleet, alone={}, tls=tls)
    if fleet is not None and not measure:
        raise UsageError("a fleet measures: give --measure as well, or leave out --fleet")
    outputs = {name: path for name, path in {"json": json, "html": html}.items() if path is not None}
    files = (*([model] if model else ()), *filter(is_path, [gpu] if gpu else ()))
    refuse_overwriting((*files, *([db.removeprefix("sqlite:///")] if db else ())), outputs)
    with progress(2, quiet=quiet) as step:
        step(f"reading {model or conv}")
        graph = None if model is None else hr.load(model, batch=batches[0], dims=dims)
        sheet = gpu or detect_gpu()
        step("looking at widths")
        if measure:
            from headroom.cli.fleets import connected

            with connected(fleet, tls) if fleet is not None else nullcontext() as there:
                answer = hr.measure_staircase(
                    graph, sheet, conv=conv, layer=layer, widths=widths, in_widths=in_widths, dtype=dtype, l2=l2,
                    db=db, shared=shared, on_width=lambda width: step(f"measuring width {width}"), fleet=there,
                )  # fmt: skip
        else:
            answer = hr.staircase(
                graph, sheet, conv=conv, layer=layer, widths=widths, in_widths=in_widths, dtype=dtype, l2=l2,
                source=source, db=db, system=system,
            )  # fmt: skip
    if not quiet and STDOUT not in outputs.values():
        render(answer, Screen())
    write_outputs(answer, outputs)
