"""How wide the error bars of a table's kinds of layers are: held-out residuals."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from estimates import Answer, streamed
from headroom.predict.constants import StreamConstants, family_of, unit_of
from headroom.predict.error_groups import PRODUCT_KINDS, REGIMES, holding, product_kinds, regimes_of
from headroom.predict.kernel_sorts import bar_kind
from tables import Cases

#: Held-out rows below which a group has no bar of its own.
FEWEST = 20

#: A table counts as one of at most this many rows: one of thousands does not decide alone about one of fifty.
MOST = 100

#: Parts into which held-out rows are divided once more, by another digit of their hash.
FOLDS = 5

#: Kinds of which no GPU's table has that many rows.
POOLED_KINDS = ("softmax", "matvec")

#: Distances by kind, unit, family and regime, one array per table.
Groups = dict[tuple[str, ...], list[np.ndarray]]

Predict = Callable[[Cases], Answer]


@dataclass(frozen=True)
class SourceFit:
    """What is a source's own: ``measured = scale * predicted + constant_us + drift_us * order``."""

    scale: float
    constant_us: float
    drift_us: float = 0.0

    @classmethod
    def of(cls, predicted_us: np.ndarray, measured_us: np.ndarray, order: np.ndarray) -> SourceFit:
        """With the least mean absolute relative error; without a drift where the source has no order."""
        drifts = bool(order.any())
        columns = [predicted_us, np.ones(len(measured_us)), *([order] if drifts else [])]
        design = np.column_stack(columns) / measured_us[:, None]
        weights = np.ones(len(measured_us))
        for _ in range(30):  # iteratively reweighted least squares
            root = np.sqrt(weights)
            solution = np.linalg.lstsq(design * root[:, None], root, rcond=None)[0]
            weights = 1 / np.maximum(np.abs(design @ solution - 1), 1e-3)
        return cls(*map(float, solution))

    def added_us(self, order: np.ndarray) -> np.ndarray:
        return self.constant_us + self.drift_us * order


@dataclass(frozen=True)
class Residuals:
    """Distances of a table's rows from the predictions, in percent of these: with the source's scale, constant and
    drift; ``unscaled`` without the scale; and ``raw``. ``counted`` rows are held out, and more than what their source
    adds to them.
    """

    off_pct: np.ndarray
    unscaled_pct: np.ndarray
    raw_pct: np.ndarray
    counted: np.ndarray
    fit: SourceFit

    @classmethod
    def of(cls, predicted_us: np.ndarray, measured_us: np.ndarray, order: np.ndarray, held: np.ndarray) -> Residuals:
        """The source's own is fitted on the rows that are not ``held`` out."""
        fit = SourceFit.of(predicted_us[~held], measured_us[~held], order[~held])
        own_us, added_us = fit.scale * predicted_us, fit.added_us(order)
        return cls(
            100 * np.abs(measured_us - added_us - own_us) / own_us,
            100 * np.abs(measured_us - added_us - predicted_us) / predicted_us,
            100 * np.abs(measured_us - predicted_us) / predicted_us,
            held & (own_us > np.maximum(0.0, added_us)),
            fit,
        )


def fold(labels: Sequence[str]) -> np.ndarray:
    """In which of :data:`FOLDS` each row is: bars made without the rows of a fold are judged on them."""
    return np.array([zlib.crc32(label.encode()) // 2 % FOLDS for label in labels])


def bars(cases: Sequence[Cases], predict: Predict, without: int | None = None) -> list[dict[str, object]]:
    """Per kind, unit, family and regime: the half-width that holds nine of ten held-out rows.

    What the source adds, and its scale, come from the other half. The rows of one :func:`fold` stay ``without``, if
    given. Groups with few rows are pooled over regimes, then over families; the last pool is kept for the kinds that
    have no larger group anywhere.
    """
    groups: Groups = {}
    for case in cases:
        answer = predict(case)
        found = Residuals.of(answer.time_us, case.measured_us, case.order, case.held_out)
        counted = found.counted & (fold(case.labels) != without)
        kinds, regimes = kinds_of(case), np.array(REGIMES)[regimes_of(answer.time_us, answer.is_short)]
        if case.kind == "stream":
            regimes = np.where(answer.is_short, "short", "long")
        unit = unit_of(case.gpu, case.dtype) if case.kind != "stream" else "plain"
        for kind in np.unique(kinds):
            add_rows(groups, (str(kind), unit, family_of(case.gpu)), regimes, counted & (kinds == kind), found)
    return rows_of(groups)


def add_rows(
    groups: Groups, key: tuple[str, str, str], regimes: np.ndarray, counted: np.ndarray, found: Residuals
) -> None:
    """The ``counted`` rows of one table to those of their regimes; ``key`` is their kind, unit and family."""
    for regime in np.unique(regimes):
        rows = found.off_pct[counted & (regimes == regime)]
        if len(rows):
            groups.setdefault((*key, str(regime)), []).append(rows)


def rows_of(groups: Groups) -> list[dict[str, object]]:
    """The error rows of ``groups``, few rows pooled."""
    pool_regimes(groups)
    pool_families(groups)
    return [
        dict(
            zip(("kind", "unit", "family", "regime"), key, strict=True),
            error_pct=round(holding(np.concatenate(tables), weights_of(tables)), 1),
            rows=sum(map(len, tables)),
        )
        for key, tables in sorted(groups.items())
    ]


def pool_regimes(groups: Groups) -> None:
    """In place of groups of fewer than :data:`FEWEST` rows, one of all rows of their kind, unit and family."""
    for few in sorted({key[:3] for key, tables in groups.items() if _count(tables) < FEWEST}):
        alike = {key: tables for key, tables in groups.items() if key[:3] == few}
        groups[(*few, "any")] = [rows for tables in alike.values() for rows in tables]
        for key in (key for key, tables in alike.items() if _count(tables) < FEWEST):
            del groups[key]


def pool_families(groups: Groups) -> None:
    """Groups that are few still, over all families; kept for the kinds that have no larger group anywhere."""
    for key, tables in sorted(groups.items()):
        if _count(tables) < FEWEST:
            del groups[key]
            if key[0] in POOLED_KINDS:
                groups.setdefault((*key[:2], "several", "any"), []).extend(tables)


def _count(tables: Sequence[np.ndarray]) -> int:
    return sum(map(len, tables))


def weights_of(tables: Sequence[np.ndarray]) -> np.ndarray:
    """How much each row counts, the tables one after another."""
    return np.concatenate([np.full(len(rows), min(len(rows), MOST) / len(rows)) for rows in tables])


def kinds_of(case: Cases) -> np.ndarray:
    """What the error bars call each row's kernel."""
    if case.kinds:
        return np.array(case.kinds)
    if case.kind == "matmul":
        return np.array(PRODUCT_KINDS)[product_kinds(case.work)]
    return np.array([bar_kind(case.direction)] * len(case))


def stream_answer(case: Cases, constants: StreamConstants) -> Answer:
    """Streaming kernels' times, and whether launch and ramp are at least half of each."""
    time_us = streamed(case, constants)
    fixed_us = constants.launch_us_on(case.gpu) + constants.ramp_us * case.work.passes
    return Answer(time_us, 2 * fixed_us >= time_us, np.zeros(len(case)))
