"""``headroom predict``: a table of layers in, a table of times and traffic out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import L2State, complete_gpu


def predict(
    table: Annotated[Path, typer.Argument(help="A CSV file with one layer per row.")],
    gpu: Annotated[str, typer.Option(help="A GPU's id or sheet.", autocompletion=complete_gpu)],
    out: Annotated[Path | None, typer.Option(help="Where to write the answer.")] = None,
    l2: Annotated[L2State, typer.Option(help="State of the L2 cache before each layer.")] = L2State.WARM,
    explain: Annotated[bool, typer.Option("--explain", help="Print every term of each row.")] = False,
) -> None:
    """Time, bottleneck and traffic of many layers at once.

    Example: `headroom predict layers.csv --gpu v100-pcie-32gb --out times.csv`
    """
    from headroom.report.outputs import predict_to_files

    summary = predict_to_files(table, gpu, out, l2_state=l2, explain=explain)
    if summary:
        print(f"headroom: {summary}", file=sys.stderr)  # noqa: T201
