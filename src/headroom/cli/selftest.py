"""``headroom selftest``: is the stopwatch right on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.progress import progress

#: Known durations, the reads, the lost context: steps of the progress bar.
STEPS = 10


def selftest(
    gpu: Annotated[int, typer.Option(min=0, help="The GPU's index, as the driver counts.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write what was seen as JSON; - is stdout.")] = None,
) -> None:
    """Time kernels of known duration, and provoke failures that must be noticed.

    Ends with code 4 where a reading is off by more than 2.5 % and 8 us, or a failure went unnoticed.

    Example: `headroom selftest`
    """
    from headroom.cli.screen import Screen
    from headroom.errors import GpuError
    from headroom.files import STDOUT, write_to
    from headroom.measure.trust import check_stopwatch
    from headroom.report.selftest import render_selftest, selftest_json

    with progress(STEPS) as step:
        test = check_stopwatch(gpu, step)
    if json != STDOUT:
        render_selftest(test, Screen())
    if json is not None:
        write_to(json, selftest_json(test))
    if test.failures:
        raise GpuError(f"the stopwatch is not right: {'; '.join(test.failures)}; trust no time from this machine")
