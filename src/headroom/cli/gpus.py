"""``headroom gpus``: the sheets that Headroom knows, and this machine's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headroom.cli.options import check_fleet, complete_gpu
from headroom.cli.progress import progress

if TYPE_CHECKING:
    from headroom.measure.probe.result import Probe

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
    fleet: Annotated[str | None, typer.Option(help="One GPU of each kind in a fleet: HOST:PORT, or local.")] = None,
    tls: Annotated[Path | None, typer.Option(help="The fleet's credentials: ca.pem, cert.pem, key.pem.")] = None,
) -> None:
    """Measure this machine's GPU with our own kernels, and show it beside its sheet.

    Of several kinds of GPU in a fleet each has files of its own: `my-gpu.toml` becomes `my-gpu-1a2b3c4d.toml`, with
    the id of its system.

    Example: `headroom gpus probe --out my-gpu.toml`
    """
    from headroom.files import STDOUT, refuse_overwriting
    from headroom.measure.probe.client import probe_fleet, probe_gpu

    outputs = {name: path for name, path in (("out", out), ("json", json)) if path is not None}
    refuse_overwriting((), outputs)
    check_fleet(fleet, alone={"--gpu": bool(gpu)}, tls=tls)
    if fleet is None:
        with progress(PROBE_STEPS) as step:
            alone = probe_gpu(gpu, step, quick=quick)
        _tell(alone, out, json)
        return
    from headroom.cli.fleets import connected

    with connected(fleet, tls) as there, progress(1) as step:
        step("probing a GPU of each kind")
        found = probe_fleet(there, quick=quick)
    for system, probe_of_kind in found.items():
        ours = {
            name: path if len(found) == 1 or path == STDOUT else path.with_stem(f"{path.stem}-{system.id}")
            for name, path in outputs.items()
        }
        _tell(probe_of_kind, ours.get("out"), ours.get("json"))


def _tell(found: Probe, out: Path | None, json: Path | None) -> None:
    """Show and write what a probe found."""
    from headroom.cli.complain import complain
    from headroom.cli.screen import Screen
    from headroom.files import STDOUT, write_to
    from headroom.gpu.sheets import gpu_of_driver
    from headroom.measure.probe.sheet import sheet_toml
    from headroom.report.probe import probe_json, render_probe

    shipped = gpu_of_driver(found.gpu)
    if STDOUT not in (out, json):
        render_probe(found, shipped, Screen())
    if json is not None:
        write_to(json, probe_json(found, shipped))
    if out is not None:
        write_to(out, sheet_toml(found, shipped))
    if found.failures:
        count = len(found.failures)
        complain(f"{count} experiment{'s' * (count > 1)} of the probe failed: {', '.join(found.failures)}")
