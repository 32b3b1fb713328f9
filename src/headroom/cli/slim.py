"""``headroom slim``: which synapse vectors a network can do without, and the network without them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import L2State, complete_gpu, parse_batches
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.graph.tensor import DataType

_SAMPLES = 2048


class Correlate(StrEnum):
    AUTO = "auto"
    WEIGHTS = "weights"
    INPUTS = "inputs"
    CONTRIBUTIONS = "contributions"
    LEAST_DAMAGE = "least-damage"


class Transform(StrEnum):
    AUTO = "auto"
    TRUNCATE = "truncate"
    SCALE = "scale"
    FOLD = "fold"
    SOLVE = "solve"


class TimeSource(StrEnum):
    AUTO = "auto"
    PREDICTED = "predicted"


def slim(
    target: Annotated[
        str | None, typer.Argument(help="package.module:callable, giving a network or (network, inputs).")
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="A GPU's id or sheet; this machine's.", autocompletion=complete_gpu)
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="package.module:callable giving batches: inputs, or (inputs, labels).")
    ] = None,
    correlate: Annotated[Correlate, typer.Option(help="What decides who goes.")] = Correlate.AUTO,
    transform: Annotated[Transform, typer.Option(help="What makes up for what goes.")] = Transform.AUTO,
    threshold: Annotated[float | None, typer.Option(help="Search at this correlation, the same in all layers.")] = None,
    speedup: Annotated[float | None, typer.Option(help="Lose least among those so many times as fast.")] = None,
    max_loss: Annotated[float | None, typer.Option(help="The fastest that loses no more points; 0.5.")] = None,
    frontier: Annotated[
        Path | None, typer.Option(help="The front's file: made where a TARGET is given and it is not there, else read.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Make the network, into --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="A folder for the slim network.")] = None,
    finetune: Annotated[
        str | None, typer.Option(help="package.module:callable that trains the network that it is given.")
    ] = None,
    onnx: Annotated[Path | None, typer.Option(help="Export the slim network as well.")] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per run that times are for.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Default: the GPU's 16-bit tensor type.")] = None,
    source: Annotated[TimeSource, typer.Option(help="Where times come from.")] = TimeSource.AUTO,
    db: Annotated[str | None, typer.Option(help="The performance database: a path or a URL.")] = None,
    system: Annotated[str | None, typer.Option(help="Whose measurements count: an id of db list.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.WARM,
    samples: Annotated[int, typer.Option(help="Samples of the data to look at, half of them to judge by.")] = _SAMPLES,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time every way, and the slim network, on this machine's GPU.")
    ] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Measure although others use the GPU.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write every way and the front as JSON; - is stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Fewer synapse vectors, still dense: what each layer can do without, what that saves, and what it loses.

    Example: `headroom slim my.networks:vgg16 --gpu h200 --data my.data:batches --max-loss 0.5`

    To make it: `headroom slim my.networks:vgg16 --gpu h200 --data my.data:batches --speedup 1.5 --apply --out slim`
    """
    import headroom as hr
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, refuse_overwriting
    from headroom.gpu.detect import detect_gpu
    from headroom.gpu.names import is_path
    from headroom.report.slim_outputs import write_outputs
    from headroom.report.slim_terminal import render

    reads = frontier is not None and frontier.exists()
    if target is None and not reads:
        raise UsageError("slim what? Give a TARGET, package.module:callable, or the file of a front with --frontier")
    if apply and (target is None or out is None):
        raise UsageError("--apply makes a network: give its TARGET, and a folder with --out")
    if not apply and (out is not None or onnx is not None):
        raise UsageError("--out and --onnx go with --apply")
    if finetune is not None and not apply and (frontier is None or reads):
        raise UsageError("--finetune goes with --apply, or with a --frontier that is being made")
    batches = parse_batches(batch)
    if len(batches) > 1:
        raise UsageError("--batch names several batches; slim takes one at a time")
    if reads and (threshold, batches[0], dtype, db, system, gpu) != (None, None, None, None, None, None):
        raise UsageError(
            f"{frontier} is a front that was made: leave out --threshold, --gpu, --batch, --dtype, --db and --system, "
            "or name another file to make a new one"
        )
    decided = (correlate, transform, source, l2) != (Correlate.AUTO, Transform.AUTO, TimeSource.AUTO, L2State.WARM)
    if reads and (decided or (measure and not apply)):
        raise UsageError(
            f"what {frontier} holds was chosen and timed when it was made: leave out --correlate, --transform, "
            "--source and --l2, and give --measure with --apply, or name another file to make a new one"
        )
    outputs = {"json": json, "html": html, "onnx": onnx, "frontier": None if reads else frontier}
    given = {name: path for name, path in outputs.items() if path is not None}
    sources = (*filter(is_path, [gpu] if gpu else ()), *([db.removeprefix("sqlite:///")] if db else ()))
    refuse_overwriting((*sources, *([frontier] if reads and frontier else ())), given)
    with progress(8, quiet=quiet) as step:
        if reads and frontier is not None:
            model = target if apply else None
            answer = hr.load_frontier(
                frontier, model, data=data if apply else None, speedup=speedup, max_loss=max_loss, samples=samples
            )
        else:
            answer = hr.slim(
                target, None, gpu or detect_gpu(), data=data, correlate=correlate, transform=transform,
                threshold=threshold, speedup=speedup, max_loss=max_loss, finetune=finetune if frontier else None,
                batch=batches[0], dtype=dtype, l2=l2, source=source, db=db, system=system, samples=samples,
                measure=measure, shared=shared, tell=step,
            )  # fmt: skip
            if frontier is not None:
                answer.save_frontier(frontier)
        if apply and out is not None:
            _, answer = answer.apply(out, finetune=finetune, onnx=onnx, measure=measure, shared=shared, tell=step)
    if not quiet and STDOUT not in given.values():
        render(answer.study, Screen(), answer.applied)
    write_outputs(answer.study, answer.applied, {name: given[name] for name in ("json", "html") if name in given})
