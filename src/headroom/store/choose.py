"""Which system an answer is for. Sheets are read where a GPU is named: most commands name none here."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.errors import StoreError, UsageError
from headroom.gpu.names import normalise
from headroom.store.rows import System
from headroom.store.summaries import SystemSummary
from headroom.text import plain_line


def of_gpu(summaries: Sequence[SystemSummary], gpu: str | None) -> tuple[SystemSummary, ...]:
    """Those of ``summaries`` whose GPU is ``gpu``: a sheet's id, the beginning of one, or the driver's name."""
    if gpu is None:
        return tuple(summaries)
    sheet = _sheet_of_user(gpu)
    return tuple(
        summary
        for summary in summaries
        if normalise(summary.system.gpu) == normalise(gpu) or (sheet and _sheet_of_system(summary.system) == sheet)
    )


def named(summaries: Sequence[SystemSummary], name: str, where: str) -> System:
    """The system whose id is ``name`` or begins with it.

    Raises:
        StoreError: there is none, or more than one.
    """
    fitting = [summary.system for summary in summaries if name and summary.system.id.startswith(name.lower())]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(system.id for system in (fitting or [summary.system for summary in summaries])[:8])
    said = "is ambiguous" if fitting else "is unknown"
    raise StoreError(
        f"system '{plain_line(name, 40)}' {said} in the database {where}: "
        + (f"name one of {known}" if known else "it holds no measurements; headroom measure makes them")
    )


def _sheet_of_system(system: System) -> str | None:
    from headroom.gpu.sheets import gpu_of_driver

    sheet = gpu_of_driver(system.gpu)
    return sheet.id if sheet else None


def _sheet_of_user(gpu: str) -> str | None:
    from headroom.gpu.sheets import load_gpu

    try:
        return load_gpu(gpu).id
    except UsageError:  # a GPU without a sheet is still found by the driver's name
        return None
