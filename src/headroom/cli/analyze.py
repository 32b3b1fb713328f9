"""``headroom analyze``: load, time, bound, advise, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headroom.cli.complain import complain
from headroom.cli.options import Direction, L2State, Source, complete_gpu, parse_batches, parse_dims
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.graph.tensor import DataType

if TYPE_CHECKING:
    from headroom.gpu.spec import GpuSpec
    from headroom.measure.profiles.profile import Profile

THRESHOLD_CROSSED = 1


def analyze(
    model: Annotated[str, typer.Argument(help="An .onnx file, or package.module:callable.")],
    gpu: Annotated[
        list[str] | None,
        typer.Option(help="A GPU's id or sheet; repeat to compare.", autocompletion=complete_gpu),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per run: N, or N,N,… to compare.")] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Pin a symbolic dimension: NAME=N.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Default: the GPU's 16-bit tensor type.")] = None,
    source: Annotated[Source, typer.Option(help="Where times come from.")] = Source.AUTO,
    db: Annotated[str | None, typer.Option(help="The performance database: a path or a URL.")] = None,
    system: Annotated[str | None, typer.Option(help="Whose measurements count: an id of db list.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.WARM,
    direction: Annotated[Direction, typer.Option(help="Forward, a gradient, or a training step.")] = Direction.FORWARD,
    profile: Annotated[
        Path | None, typer.Option(help="Your own run of the model: a PyTorch trace or an ONNX Runtime profile.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained report.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the answer as JSON; - is stdout.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write one row per layer; - is stdout.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a Chrome trace of the schedule.")] = None,
    fail_above_us: Annotated[
        float | None, typer.Option(min=0, help="Exit with 1 if the latency is above this.")
    ] = None,
    max_latency_us: Annotated[float | None, typer.Option(min=0, help="Name the best batch under this.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Bounds, bottlenecks and advice for a model on a GPU.

    Example: `headroom analyze resnet50.onnx --gpu h200 --batch 1,8,32 --html report.html`

    With a profile, advice on that very run: `headroom analyze resnet50.onnx --profile trace.json --html report.html`
    """
    import headroom as hr
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, refuse_overwriting
    from headroom.gpu.names import is_path
    from headroom.gpu.sheets import load_gpu
    from headroom.report.outputs import write_outputs
    from headroom.report.side_by_side import above, unchecked
    from headroom.report.terminal import render

    batches, dims = parse_batches(batch), parse_dims(dim or [])
    formats = {"json": json, "html": html, "csv": csv, "trace": trace}
    outputs = {name: path for name, path in formats.items() if path is not None}
    inputs = (model, *filter(is_path, gpu or ()), *([db.removeprefix("sqlite:///")] if db else ()))
    refuse_overwriting((*inputs, *([profile] if profile else ())), outputs)
    if profile and (len(batches) > 1 or len(gpu or ()) > 1):
        raise UsageError("--profile is one run, on one GPU at one batch: give one --gpu and one --batch with it")
    recorded = hr.load_profile(profile) if profile else None
    sheets = [load_gpu(name) for name in gpu] if gpu else [_gpu_at_hand(recorded)]
    answers: list[hr.Analysis] = []
    with progress(len(batches) * (1 + len(sheets)), quiet=quiet) as step:
        for samples in batches:
            step(f"reading {model}")
            graph = hr.load(model, batch=samples, dims=dims)
            for sheet in sheets:
                step(f"analysing batch {graph.batch} on {sheet.id}")
                answer = hr.analyze(
                    graph, sheet, dtype, l2=l2, source=source, db=db, system=system, profile=recorded,
                    direction=direction,
                )  # fmt: skip
                answers.append(answer)
    if not quiet and STDOUT not in outputs.values():
        render(answers, Screen(), max_latency_us=max_latency_us)
    write_outputs(answers, outputs)
    if fail_above_us is None:
        return
    if sentences := above(answers, fail_above_us):
        complain("; ".join(sentences))
        raise typer.Exit(THRESHOLD_CROSSED)
    if sentences := unchecked(answers):
        complain("; ".join(sentences))


def _gpu_at_hand(profile: Profile | None) -> GpuSpec:
    """The GPU that the profile was recorded on; without a profile this machine's."""
    from headroom.advise.own_run import gpu_of_run
    from headroom.gpu.detect import detect_gpu

    return detect_gpu() if profile is None else gpu_of_run(profile)
