"""From measured layers to a GPU's own calibration, with error bars from rows that the terms had not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from headroom.errors import StoreError
from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration, ErrorRow, load_calibration
from headroom.predict.constants import family_of, unit_of
from headroom.predict.error_groups import holding
from headroom.predict.gemm_problems import Floats
from headroom.predict.kernel_sorts import bar_kind
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import sorts_of
from headroom.predict.kinds.streaming import bar_kind_of
from headroom.predict.own.fit import MeasuredLayer, fit_terms, group_of, predicted_us, tested
from headroom.predict.own.record import Gain, OwnCalibration, shared_digest, sheet_digest
from headroom.predict.own.terms import with_terms
from headroom.store.rows import System

#: Rows of one kind of kernel below which its error bar stays the shared one.
FEWEST = 10

#: Rows of one group that are looked at; more are thinned out evenly, because a fit has few terms and takes its time.
MOST_PER_GROUP = 250


def calibrate_own(
    rows: Sequence[MeasuredLayer], gpu: GpuSpec, system: System, calibration: Calibration | None = None
) -> OwnCalibration:
    """Fit ``gpu``'s own terms to ``rows``.

    Args:
        calibration: what the terms start from; by default the one that ships with the package.

    Raises:
        StoreError: no row is of a kind that has terms.
    """
    base = calibration or load_calibration()
    chosen = _thinned(rows, gpu)
    if not chosen:
        raise StoreError(f"no single layer was measured on {gpu.name}: run headroom measure on it first")
    after, ordered = tested(chosen, gpu, base)
    measured = np.array([row.time_us for row in ordered])
    before = predicted_us(ordered, gpu, base)
    gains = _gains(ordered, before / measured, after / measured, gpu)
    worth = {gain.group for gain in gains if gain.after_pct < gain.before_pct}
    # Where the terms bring rows that they have not seen no nearer, the shared constants stay.
    terms = {name: t for name, t in fit_terms(chosen, gpu, base).items() if name.partition(": ")[0] in worth}
    gained = np.array([group_of(row.layer, gpu, row.dtype) in worth for row in ordered])
    off_pct = 100 * np.abs(measured / np.where(gained, after, before) - 1)
    return OwnCalibration(
        gpu=gpu.id,
        system=system.title,
        date=datetime.now(UTC).date().isoformat(),
        rows=len(chosen),
        sheet=sheet_digest(gpu),
        shared=shared_digest(),
        terms=terms,
        errors=tuple(_bars(ordered, off_pct, gpu, with_terms(base, gpu, terms))),
        gains=tuple(gains),
    )


def _thinned(rows: Sequence[MeasuredLayer], gpu: GpuSpec) -> list[MeasuredLayer]:
    """The rows that terms can be fitted to, at most :data:`MOST_PER_GROUP` of each group."""
    groups: dict[str, list[MeasuredLayer]] = {}
    for row in rows:
        group = group_of(row.layer, gpu, row.dtype) if gpu.supports(row.dtype) else None
        if group is not None:
            groups.setdefault(group, []).append(row)
    return [row for alike in groups.values() for row in alike[:: math.ceil(len(alike) / MOST_PER_GROUP)]]


def _gains(rows: Sequence[MeasuredLayer], before: Floats, after: Floats, gpu: GpuSpec) -> list[Gain]:
    names = np.array([group_of(row.layer, gpu, row.dtype) for row in rows])
    return [
        Gain(
            str(name), int(alike.sum()), *(round(float(100 * np.abs(x[alike] - 1).mean()), 1) for x in (before, after))
        )
        for name in np.unique(names)
        for alike in [names == name]
    ]


def _bars(rows: Sequence[MeasuredLayer], off_pct: Floats, gpu: GpuSpec, tuned: Calibration) -> list[ErrorRow]:
    """One bar per kind of kernel that has enough rows, all data types and states of the cache together."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row, distance in zip(rows, off_pct, strict=True):
        groups.setdefault(_kind_of(row, gpu, tuned), []).append(float(distance))
    return [
        ErrorRow(kind, unit, family_of(gpu), "any", round(holding(distances), 1), len(distances))
        for (kind, unit), distances in sorted(groups.items())
        if len(distances) >= FEWEST
    ]


def _kind_of(row: MeasuredLayer, gpu: GpuSpec, tuned: Calibration) -> tuple[str, str]:
    """What the error bars call the row's kernel, and the unit that they know it on."""
    group, unit = group_of(row.layer, gpu, row.dtype), unit_of(gpu, row.dtype)
    if group == "streams":
        return bar_kind_of(row.layer), "plain"
    if group == "attention":
        return "attention", unit
    sort = sorts_of([row.layer], Context(gpu, row.dtype, row.l2, None, tuned))[0]
    return bar_kind(sort), unit
