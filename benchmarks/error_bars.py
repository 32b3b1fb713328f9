"""How wide the error bars of a table's kinds of layers are: held-out residuals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from estimates import chosen, streamed
from headroom.predict.constants import GemmConstants, StreamConstants, family_of, unit_of
from statistics_of import scale_and_constant
from tables import Cases

#: Rows below which a group has no bar of its own.
FEWEST = 40

#: Kinds of which no GPU's table has that many rows.
POOLED_KINDS = ("softmax", "matvec")


def bars(cases: list[Cases], predict: Callable[[Cases], tuple[np.ndarray, np.ndarray]]) -> list[dict[str, object]]:
    """Per kind, unit, family and regime: the half-width that holds four of five held-out rows.

    The source's constant comes from the other half; its scale is not used, because a user's prediction has none.
    A row counts where the source's constant is less than what is predicted on top of it: below that the
    table says nothing about the kernel. Groups with few rows are pooled over families and regimes; the pool is
    kept for the kinds that have no larger group anywhere.
    """
    rows = []
    for case in cases:
        predicted, short = predict(case)
        held = case.held_out
        fit = scale_and_constant(predicted[~held], case.measured_us[~held])
        off_pct = 100 * np.abs(case.measured_us - predicted - fit.constant_us) / predicted
        unit = unit_of(case.gpu, case.dtype) if case.kind != "stream" else "plain"
        names = np.array(case.kinds) if case.kinds else np.full(len(case), case.kind)
        usable = held & (predicted > max(0.0, fit.constant_us))
        for kind in sorted({str(name) for name in names}):
            for regime in ("short", "long"):
                group = usable & (names == kind) & (short == (regime == "short"))
                few = group.sum() < FEWEST
                rows.append(
                    (kind, unit, "several" if few else family_of(case.gpu), "any" if few else regime, off_pct[group])
                )
    merged: dict[tuple[str, ...], list[np.ndarray]] = {}
    for *key, off_pct in rows:
        merged.setdefault(tuple(key), []).append(off_pct)
    return [
        dict(
            zip(("kind", "unit", "family", "regime"), key, strict=True),
            error_pct=round(float(np.quantile(np.concatenate(offs), 0.8)), 1),
            rows=int(sum(map(len, offs))),
        )
        for key, offs in sorted(merged.items())
        if key[2] != "several" or key[0] in POOLED_KINDS
    ]


def gemm_bars(case: Cases, constants: GemmConstants) -> tuple[np.ndarray, np.ndarray]:
    """Times in microseconds, and whether launch and latency are at least half of each."""
    best = chosen(case, constants)[0]
    return best.time_us, best.is_short


def stream_bars(case: Cases, constants: StreamConstants) -> tuple[np.ndarray, np.ndarray]:
    """Times in microseconds, and whether launch and ramp are at least half of each."""
    time_us = streamed(case, constants)
    fixed_us = constants.launch_us_on(case.gpu) + constants.ramp_us * case.work.passes
    return time_us, 2 * fixed_us >= time_us
