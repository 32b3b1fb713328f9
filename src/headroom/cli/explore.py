"""``headroom explore``: what a different GPU would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import L2State, Theory, complete_gpu, parse_batches, parse_dims
from headroom.cli.progress import progress
from headroom.errors import UsageError
from headroom.graph.tensor import DataType


def explore(
    model: Annotated[str, typer.Argument(help="An .onnx file, or package.module:callable.")],
    gpu: Annotated[str, typer.Option(help="The GPU to start from: an id or a sheet.", autocompletion=complete_gpu)],
    vary: Annotated[
        list[str] | None, typer.Option(help="FIELD=SETTING,…: a factor (2 or x2) or a value (@112); repeat.")
    ] = None,
    designs: Annotated[Path | None, typer.Option(help="A TOML file of named designs, in place of --vary.")] = None,
    cost: Annotated[Path | None, typer.Option(help="A TOML file that says what a design costs.")] = None,
    theory: Annotated[Theory, typer.Option(help="The calibrated theory, or DeLTA as published.")] = Theory.CALIBRATED,
    batch: Annotated[str | None, typer.Option(help="Samples per run.")] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Pin a symbolic dimension: NAME=N.")] = None,
    dtype: Annotated[DataType | None, typer.Option(help="Default: the GPU's 16-bit tensor type.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.WARM,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write every design as JSON; - is stdout.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write one row per design; - is stdout.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """A model on GPUs that differ from one in a few fields.

    Example: `headroom explore resnet152.onnx --gpu titan-xp --vary sms=1,2,4 --vary dram_bw=1,1.5,2`
    """
    import headroom as hr
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, refuse_overwriting
    from headroom.gpu.names import is_path
    from headroom.predict.explore.space import parse_vary
    from headroom.report.exploration_outputs import write_outputs
    from headroom.report.exploration_terminal import render

    batches, dims = parse_batches(batch), parse_dims(dim or [])
    if len(batches) > 1:
        raise UsageError("--batch names several batches; explore takes one at a time")
    outputs = {name: path for name, path in {"json": json, "html": html, "csv": csv}.items() if path is not None}
    refuse_overwriting((model, *filter(is_path, [gpu]), *(p for p in (designs, cost) if p)), outputs)
    settings: dict[str, tuple[str, ...]] = {}
    for text in vary or ():
        name, values = parse_vary(text)
        if name in settings:
            raise UsageError(f"--vary {name} is given twice; put its settings into one")
        settings[name] = values
    with progress(2, quiet=quiet) as step:
        step(f"reading {model}")
        graph = hr.load(model, batch=batches[0], dims=dims)
        step("exploring")
        explored = hr.explore(graph, gpu, settings, designs=designs, cost=cost, theory=theory, dtype=dtype, l2=l2)
    if not quiet and STDOUT not in outputs.values():
        render(explored, Screen())
    write_outputs(explored, outputs)
