"""``headroom pack``: a packed format for each layer, within a budget."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import L2State, complete_gpu, parse_batches
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.graph.tensor import DataType


class Small(StrEnum):
    TIME = "time"
    MEMORY = "memory"


def pack(
    target: Annotated[str, typer.Argument(help="package.module:callable that makes a PyTorch network.")],
    gpu: Annotated[
        str | None, typer.Option(help="A GPU's id or sheet; this machine's.", autocompletion=complete_gpu)
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Samples per run.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Default: the GPU's 16-bit tensor type.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.COLD,
    calibration: Annotated[str | None, typer.Option(help="package.module:callable that gives batches.")] = None,
    batches: Annotated[int, typer.Option(min=1, help="Batches of calibration data, at most.")] = 8,
    max_output_error: Annotated[float, typer.Option(help="Relative error of the outputs, root mean square.")] = 0.02,
    metric: Annotated[str | None, typer.Option(help="package.module:callable: how good a network is.")] = None,
    max_loss: Annotated[float | None, typer.Option(help="How much of the metric may go.")] = None,
    goal: Annotated[Small, typer.Option(help="What is made small.")] = Small.TIME,
    formats: Annotated[str | None, typer.Option(help="Formats to look at: NAME,NAME,….")] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Time every format on this machine's GPU.")] = False,
    shared: Annotated[bool, typer.Option("--shared", help="Measure although others use the GPU.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Write the packed network into --out.")] = False,
    out: Annotated[Path | None, typer.Option(help="A folder for packing.json and weights.pt.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the plan as JSON; - is stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Pack weights into fewer bits: a format for each layer within an error budget, proved on real outputs.

    Example: `headroom pack nets:alexnet --gpu h200 --batch 1 --calibration nets:images --apply --out packed`
    """
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, write_to
    from headroom.gpu.detect import detect_gpu
    from headroom.packing import pack as choose
    from headroom.report.packing import to_json
    from headroom.report.packing_terminal import render

    sizes = parse_batches(batch)
    if len(sizes) > 1:
        raise UsageError("--batch names several batches; pack takes one at a time")
    if apply != (out is not None):
        raise UsageError("--apply writes the packed network into --out: give both or neither")
    with progress(1, quiet=quiet) as step:
        step(f"packing {target}")
        answer = choose(
            target, gpu or detect_gpu(), batch=sizes[0], dtype=dtype, l2=l2, calibration=calibration, batches=batches,
            budget=max_output_error, goal=goal, forms=formats or None, metric=metric,
            max_loss=max_loss, measure=measure, shared=shared,
        )  # fmt: skip
    if not quiet and json != STDOUT:
        render(answer.plan, Screen())
    if json is not None:
        write_to(json, to_json(answer.plan))
    if out is not None:
        answer.save(out)
