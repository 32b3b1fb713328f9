"""``headroom calibrate``: the theory's constants for one GPU, from what was measured on it."""

from __future__ import annotations

from typing import Annotated

import typer

from headroom.cli.options import complete_gpu


def calibrate(
    gpu: Annotated[
        str | None,
        typer.Option(help="A GPU's id or sheet; default: this machine's.", autocompletion=complete_gpu),
    ] = None,
    db: Annotated[str | None, typer.Option(help="The performance database: a path or a URL.")] = None,
    system: Annotated[str | None, typer.Option(help="Whose measurements count: an id of db list.")] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Delete this GPU's own calibration.")] = False,
) -> None:
    """Fit the constants of predictions to the layers that were measured on a GPU; every later answer uses them.

    Example: `headroom calibrate --gpu my-gpu.toml`
    """
    import headroom as hr
    from headroom.cli.progress import progress
    from headroom.cli.screen import Screen
    from headroom.gpu.detect import detect_gpu
    from headroom.gpu.sheets import load_gpu
    from headroom.predict.own.choice import forget as forget_own
    from headroom.predict.own.choice import own_file
    from headroom.report.calibration import render_calibration

    sheet = load_gpu(gpu) if gpu else detect_gpu()
    screen = Screen()
    if forget:
        was = "deleted" if forget_own(sheet) else "there was none"
        screen.print(f"own calibration of {sheet.name}: {was}", markup=False)
        return
    with progress(1) as step:
        step(f"fitting constants for {sheet.id}")
        own = hr.calibrate(sheet, db=db, system=system)
    render_calibration(own, own_file(sheet), screen)
