"""``headroom export-benchmarks``: a model's layers as C++ that measures them where there is no Python."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import complete_gpu, parse_batches, parse_dims, parse_dtypes


def export_benchmarks(
    model: Annotated[str, typer.Argument(help="An .onnx file, or package.module:callable.")],
    out: Annotated[Path, typer.Option(help="The folder to write; an earlier export there is replaced.")],
    dtype: Annotated[str, typer.Option(help="Data types: TYPE, or TYPE,TYPE,….")] = "bf16",
    batch: Annotated[str | None, typer.Option(help="Samples per run: N, or N,N,….")] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Pin a symbolic dimension: NAME=N.")] = None,
    gpu: Annotated[str | None, typer.Option(help="The GPU they are for.", autocompletion=complete_gpu)] = None,
    only_missing: Annotated[bool, typer.Option("--only-missing", help="Leave out what the database knows.")] = False,
    system: Annotated[str | None, typer.Option(help="Whose rows count as known: a system's id.")] = None,
    fused: Annotated[bool, typer.Option(help="Also chains of layers as one kernel.")] = True,
    db: Annotated[str | None, typer.Option("--db", help="The database: a file or postgresql://….")] = None,
) -> None:
    """Write C++ that measures a model's layers on cuDNN and cuBLAS and prints what `headroom db import` takes.

    Example: `headroom export-benchmarks resnet50.onnx --out bench --dtype fp16 --gpu v100-sxm2 --only-missing`
    """
    import headroom as hr
    from headroom.measure.travel.order import Order, fill

    batches, dims, dtypes = parse_batches(batch), parse_dims(dim or []), parse_dtypes(dtype)
    graphs = [hr.load(model, batch=samples, dims=dims) for samples in batches]
    order = Order(dtypes, gpu, fused, only_missing, system, db)
    for line in fill(out, graphs, order, title=Path(model).name):
        typer.echo(line)
