"""Carry a plan out: make the network beside its place, prove it, time it against the old one, and only then keep it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from headroom.change.widths.fit.plan import Plan
from headroom.change.widths.fit.targets import Target, Tuning
from headroom.change.widths.fit.timing import Comparison, timed_in_turns
from headroom.errors import UsageError


@dataclass(frozen=True)
class Applied:
    """The files of the new network; none where it was timed and is not faster. ``score`` is what its training returned,
    ``comparison`` what both networks take, where they were timed."""

    paths: tuple[Path, ...]
    score: float | None = None
    comparison: Comparison | None = None


def applied(plan: Plan, target: Target, out: Path, tuning: Tuning, timed_on: int | None = None) -> Applied:
    """Write the network of ``plan`` to ``out``, whole or not at all.

    Args:
        timed_on: the GPU on which both networks run in turns first; a network that is not faster is not kept, unless
            its goal is another than latency.

    Raises:
        UsageError: the plan does not help, it cannot be timed, or the place cannot be written.
        ModelError: the network cannot have these widths, or computes something else.
        GpuError: timing failed.
    """
    if not plan.helps:
        raise UsageError("no move helps: the network is as fast as these widths can make it; there is no change")
    if timed_on is not None and target.address is None:
        raise UsageError("a module of this process cannot be timed by a worker; fit package.module:callable instead")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            return _made(plan, target, out, Path(folder) / out.name, tuning, timed_on)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror or error}; choose another place or free it") from error


def _made(plan: Plan, target: Target, out: Path, beside: Path, tuning: Tuning, timed_on: int | None) -> Applied:
    written = target.write(plan.space.network, plan.widths, beside, tuning)
    comparison = None
    if timed_on is not None and target.address is not None:
        batch, dtype = plan.space.network.graph.batch, plan.space.clock.dtype
        comparison = timed_in_turns(target.address, beside, dtype, batch=batch, gpu=timed_on)
        if not comparison.faster and not plan.goal.fresh:
            return Applied((), written.score, comparison)
    if beside.is_dir():
        out.mkdir(exist_ok=True)
    paths = tuple(out / path.name if beside.is_dir() else out for path in written.paths)
    for made, place in zip(written.paths, paths, strict=True):
        shutil.move(made, place)
    return Applied(paths, written.score, comparison)
