"""Whether the error bars hold: the share of every table's rows inside them, of rows that no bar was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from convolution_fit import convolution_bars
from error_bars import FOLDS, Residuals, fold, stream_answer
from estimates import Answer, answered, chosen
from h200_fit import hopper_bars
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration, ErrorRow
from headroom.predict.constants import family_of, unit_of
from headroom.predict.error_groups import PRODUCT_KINDS, REGIMES, product_kinds, regimes_of, transformed_kind
from headroom.predict.kernel_sorts import bar_kind
from headroom.predict.tiles import GATHERING_TILES, undivided
from product_fit import plain_product_bars, tensor_product_bars
from stream_fit import kernel_bars
from tables import Cases
from transformed_fit import all_runs, estimated, residuals_of, transform_bars
from transformed_tables import Runs

#: What makes the error bars, part by part.
PARTS = (convolution_bars, plain_product_bars, tensor_product_bars, kernel_bars, transform_bars, hopper_bars)

BarsOf = Callable[[Calibration], np.ndarray]


@dataclass(frozen=True)
class Table:
    """One source and GPU: its rows' distances from the predictions, what each row's error bar is according to a
    calibration, and in which fold it is.
    """

    source: str
    gpu: GpuSpec
    found: Residuals
    bars_of: BarsOf
    folds: np.ndarray


def left_out(calibration: Calibration) -> list[Calibration]:
    """``calibration`` with error bars made without one fold of the held-out rows, for every fold."""
    return [
        replace(calibration, errors=tuple(ErrorRow(**row) for part in PARTS for row in part(calibration, number)))
        for number in range(FOLDS)
    ]


def all_tables(cases: Sequence[Cases], streams: Sequence[Cases], calibration: Calibration) -> Iterator[Table]:
    for case in cases:
        answer = kernel_given(case, calibration) if case.gathering else answered(case, calibration)
        found = Residuals.of(answer.time_us, case.measured_us, case.order, case.held_out)
        yield Table(case.source, case.gpu, found, _product_bars(case, answer, calibration), fold(case.labels))
    for case in streams:
        answer = stream_answer(case, calibration.stream)
        found = Residuals.of(answer.time_us, case.measured_us, case.order, case.held_out)
        yield Table(case.source, case.gpu, found, _stream_bars(case, answer), fold(case.labels))
    for runs in all_runs():
        best = estimated(runs, calibration)
        found = residuals_of(runs, best.time_us)
        if found is not None:
            regimes = regimes_of(best.time_us, best.is_short)
            source = f"{runs.source} {runs.algorithm}"
            yield Table(source, runs.gpu, found, _transform_bars(runs, regimes), fold(runs.labels))


def kernel_given(case: Cases, calibration: Calibration) -> Answer:
    """Rows of kernels that gather: what the package would say of no others."""
    constants = calibration.gathering(case.gpu, case.dtype)
    best = chosen(case, constants, among=undivided(GATHERING_TILES))[0]
    return Answer(best.time_us, best.is_short, best.ctas)


def _product_bars(case: Cases, answer: Answer, calibration: Calibration) -> BarsOf:
    unit = unit_of(case.gpu, case.dtype)
    if case.kind == "matmul":
        kinds, rows = PRODUCT_KINDS, product_kinds(case.work)
    else:
        kinds, rows = (bar_kind(case.direction),), np.zeros(len(case), dtype=np.intp)
    regimes = regimes_of(answer.time_us, answer.is_short)

    def bars_of(bars: Calibration) -> np.ndarray:
        known = [[bars.error_pct(kind, unit, case.gpu, name, case.dtype) for name in REGIMES] for kind in kinds]
        return np.array(known)[rows, regimes]

    return bars_of


def _stream_bars(case: Cases, answer: Answer) -> BarsOf:
    regimes = np.where(answer.is_short, "short", "long")

    def bars_of(bars: Calibration) -> np.ndarray:
        asked = zip(case.kinds, regimes, strict=True)
        return np.array([bars.error_pct(kind, "plain", case.gpu, str(name), case.dtype) for kind, name in asked])

    return bars_of


def _transform_bars(runs: Runs, regimes: np.ndarray) -> BarsOf:
    kind = transformed_kind(runs.algorithm)

    def bars_of(bars: Calibration) -> np.ndarray:
        known = [bars.error_pct(kind, "plain", runs.gpu, name, DataType.FP32) for name in REGIMES]
        return np.array(known)[regimes]

    return bars_of


def coverage(
    tables: Sequence[Table], calibration: Calibration, others: Sequence[Calibration]
) -> list[dict[str, object]]:
    """Per table, the share of held-out rows inside bars that the rows had no part in: those of the other folds, and
    those that a GPU gets of whose architecture nothing was measured (``unlike``).

    ``others`` are what :func:`left_out` gives.
    """
    return [_covered(table, calibration, others) for table in tables]


def _covered(table: Table, calibration: Calibration, others: Sequence[Calibration]) -> dict[str, object]:
    found, counted = table.found, table.found.counted
    printed = table.bars_of(calibration)
    unseen = np.choose(table.folds, [table.bars_of(bars) for bars in others])
    strange = tuple(row for row in calibration.errors if row.family != family_of(table.gpu))
    unlike = table.bars_of(replace(calibration, errors=strange))
    return {
        "source": table.source,
        "gpu": table.gpu.id,
        "family": family_of(table.gpu),
        "rows": int(counted.sum()),
        "scale": round(found.fit.scale, 3),
        "bar_pct": round(float(np.median(printed[counted])), 1),
        "printed_share": _share(found.off_pct, printed, counted),
        "inside_share": _share(found.off_pct, unseen, counted),
        "unscaled_share": _share(found.unscaled_pct, unseen, counted),
        "raw_share": _share(found.raw_pct, unseen, counted),
        "unlike_bar_pct": round(float(np.median(unlike[counted])), 1),
        "unlike_share": _share(found.off_pct, unlike, counted),
        "unlike_unscaled_share": _share(found.unscaled_pct, unlike, counted),
    }


def _share(off_pct: np.ndarray, bars: np.ndarray, counted: np.ndarray) -> float:
    return round(float((off_pct <= bars)[counted].mean()), 3)
