"""``headroom gpus``: the sheets that Headroom knows."""

from __future__ import annotations

from typing import Annotated

import typer

from headroom.cli.options import complete_gpu

gpus = typer.Typer(name="gpus", help="List GPU sheets, or show one with its sources.", no_args_is_help=True)


@gpus.command("list")
def list_sheets() -> None:
    """One line per GPU.

    Example: `headroom gpus list`
    """
    from headroom.report.outputs import print_gpus

    print_gpus()


@gpus.command("show")
def show(
    gpu: Annotated[str, typer.Argument(help="An id, a prefix, or a sheet.", autocompletion=complete_gpu)],
) -> None:
    """Every figure of one sheet, with where it comes from.

    Example: `headroom gpus show h200`
    """
    from headroom.report.outputs import print_gpu

    print_gpu(gpu)
