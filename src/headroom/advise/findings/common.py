"""What every question needs to turn layers and a saving into a finding."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.advise.analysis import Finding
from headroom.advise.timed import TimedGraph
from headroom.predict.prediction import Source

#: A finding that saves less than this share of what it comes off is noise beside the error bars.
SMALLEST_SHARE = 0.002

#: From this error bar on, in percent, a saving may be none.
CERTAIN_PCT = 100.0


def make_finding(
    timed: TimedGraph,
    kind: str,
    title: str,
    action: str,
    layers: Sequence[int],
    saves_us: float,
    source: Source = Source.PREDICTED,
    error_pct: float | None = None,
    *,
    code: str = "",
    limits: str = "",
) -> Finding:
    """A finding about ``layers`` (graph indices) that takes ``saves_us`` off the sequential bound.

    Unless ``error_pct`` is given, the saving is a difference of predicted times, so its error bar is the theory's for
    the layers it is taken from, relative to the saving and never under the bar of the times themselves.
    """
    total_us = timed.sequential_us
    affected_us = sum(timed.times_us[index] for index in layers)
    of_times = timed.theory_error_pct(layers)
    # Times of one kernel family err together, so a difference keeps their relative error; what remains is the
    # part of the affected time that the saving does not cover, which counts once more.
    spread = of_times * (1.0 + 0.5 * max(0.0, 1.0 - saves_us / affected_us)) if affected_us else of_times
    return Finding(
        kind=kind,
        title=title,
        saves_us=saves_us,
        error_pct=spread if error_pct is None else error_pct,
        speedup=total_us / (total_us - saves_us) if saves_us < total_us else 1.0,
        layers=timed.names(layers),
        modules=timed.modules(layers),
        action=action,
        source=source,
        limits=limits,
        code=code,
    )


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 layer``, ``3 layers``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
