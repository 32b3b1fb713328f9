"""``headroom gpus``: the sheets that Headroom knows, and this machine's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.options import complete_gpu
from headroom.cli.progress import progress

#: Experiments of a probe: steps of the progress bar.
PROBE_STEPS = 27

gpus = typer.Typer(name="gpus", help="List GPU sheets, show one with its sources, or measure one.")


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


@gpus.command("probe")
def probe(
    gpu: Annotated[int, typer.Option(min=0, help="The GPU's index, as the driver counts.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write a sheet that --gpu accepts; - is stdout.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write figures and curves as JSON; - is stdout.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Half the points and repeats.")] = False,
) -> None:
    """Measure this machine's GPU with our own kernels, and show it beside its sheet.

    Example: `headroom gpus probe --out my-gpu.toml`
    """
    from headroom.cli.complain import complain
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, refuse_overwriting, write_to
    from headroom.gpu.sheets import gpu_of_driver
    from headroom.measure.probe.client import probe_gpu
    from headroom.measure.probe.sheet import sheet_toml
    from headroom.report.probe import probe_json, render_probe

    outputs = {name: path for name, path in (("out", out), ("json", json)) if path is not None}
    refuse_overwriting((), outputs)
    with progress(PROBE_STEPS) as step:
        found = probe_gpu(gpu, step, quick=quick)
    shipped = gpu_of_driver(found.gpu)
    if STDOUT not in outputs.values():
        render_probe(found, shipped, Screen())
    if json is not None:
        write_to(json, probe_json(found, shipped))
    if out is not None:
        write_to(out, sheet_toml(found, shipped))
    if found.failures:
        count = len(found.failures)
        complain(f"{count} experiment{'s' * (count > 1)} of the probe failed: {', '.join(found.failures)}")
