"""``headroom gpus``: the sheets that Headroom knows."""

from __future__ import annotations

from typing import Annotated

import typer

from headroom.cli.options import complete_gpu

gpus = typer.Typer(name="gpus", help="List GPU sheets, or show one with its sources.")


@gpus.command("list")
def list_sheets() -> None:
    """One line per GPU.

    Example: `headroom gpus list`
    """
    from headroom.cli.screen import Screen
    from headroom.gpu.sheets import list_gpus
    from headroom.report.gpu_tables import render_gpu_list

    render_gpu_list(list_gpus(), Screen())


@gpus.command("show")
def show(
    gpu: Annotated[str, typer.Argument(help="An id, a prefix, or a sheet.", autocompletion=complete_gpu)],
) -> None:
    """Every figure of one sheet, with where it comes from.

    Example: `headroom gpus show h200`
    """
    from headroom.cli.screen import Screen
    from headroom.gpu.sheets import load_gpu
    from headroom.report.gpu_tables import render_gpu

    render_gpu(load_gpu(gpu), Screen())
