"""``headroom fit``: widths that stand on the right steps, as a plan and, where asked, as a new network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import L2State, Source, complete_gpu, parse_batches
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.graph.tensor import DataType


def fit(
    target: Annotated[str, typer.Argument(help="package.module:callable, or an .onnx file with weights.")],
    goal: Annotated[str, typer.Option(help="lossless, latency, latency-paper, or accuracy.")] = "lossless",
    saves: Annotated[float | None, typer.Option(help="Goal latency: the share of it to save, as 0.2.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Goal latency: channels that may be gained or lost in all.")
    ] = None,
    unpruned: Annotated[
        str | None, typer.Option(help="What the target was pruned from: no layer gets wider than there.")
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="A GPU's id or sheet; this machine's.", autocompletion=complete_gpu)
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per run.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Default: the GPU's 16-bit tensor type.")] = None,
    source: Annotated[Source, typer.Option(help="Where times come from.")] = Source.AUTO,
    db: Annotated[str | None, typer.Option(help="The performance database: a path or a URL.")] = None,
    system: Annotated[str | None, typer.Option(help="Whose measurements count: an id of db list.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.WARM,
    apply: Annotated[bool, typer.Option("--apply", help="Make the network with these widths and write it.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where --apply writes: a folder; of an ONNX file a new file.")
    ] = None,
    criterion: Annotated[str, typer.Option(help="Which channels are given up: l1, batch-norm or taylor.")] = "l1",
    data: Annotated[
        str | None, typer.Option(help="For taylor: package.module:callable that returns (training data, test data).")
    ] = None,
    finetune: Annotated[
        str | None, typer.Option(help="package.module:callable that trains the new module in place.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="First measure here what the choice rests on, until nothing is guessed.")
    ] = False,
    timed: Annotated[
        bool, typer.Option("--timed", help="With --apply: run old and new in turns here; keep it only if it is faster.")
    ] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Measure although others use the GPU.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the plan as JSON; - is stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Widths that fit the GPU: a plan of which layers to widen or narrow, and with --apply the network.

    Example: `headroom fit models.vgg:pruned --gpu h200 --batch 128 --apply --out fitted`
    """
    import headroom as hr
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, refuse_overwriting
    from headroom.gpu.detect import detect_gpu
    from headroom.gpu.names import is_path

    batches = parse_batches(batch)
    if len(batches) > 1:
        raise UsageError("--batch names several batches; fit takes one at a time")
    if apply and out is None:
        raise UsageError("--apply writes a new network: say where with --out")
    if not apply and (out is not None or finetune is not None or timed):
        raise UsageError("--out, --finetune and --timed go with --apply: without it there is only a plan")
    if measure and (source is not Source.AUTO or system is not None):
        raise UsageError("--measure answers from what it measures: leave out --source and --system")
    outputs = {name: path for name, path in {"json": json, "html": html}.items() if path is not None}
    files = (target, *filter(is_path, [gpu] if gpu else ()), *([db.removeprefix("sqlite:///")] if db else ()))
    refuse_overwriting(files, {**outputs, **({"out": out} if out is not None else {})})
    with progress(3 if apply else 2, quiet=quiet) as step:
        sheet = gpu or detect_gpu()
        step(f"finding the widths of {target}")
        if measure:
            plan = hr.measure_fit(
                target, sheet, goal=goal, saves=saves, tolerance=tolerance, unpruned=unpruned, batch=batches[0],
                dtype=dtype, l2=l2, db=db, shared=shared, on_layer=lambda what: step(f"measuring {what}"),
            )  # fmt: skip
        else:
            plan = hr.fit(
                target, sheet, goal=goal, saves=saves, tolerance=tolerance, unpruned=unpruned, batch=batches[0],
                dtype=dtype, l2=l2, source=source, db=db, system=system,
            )  # fmt: skip
        written = None
        if apply and plan.helps and out is not None:
            step("making the network and proving it")
            written = plan.apply(out, criterion=criterion, data=data, finetune=finetune, timed_on=0 if timed else None)
    from headroom.report.fit_outputs import write_outputs
    from headroom.report.fit_terminal import render, render_applied

    screen = Screen()
    if not quiet and STDOUT not in outputs.values():
        render(plan, screen)
        if apply:
            render_applied(written, screen)
    write_outputs(plan, outputs)
