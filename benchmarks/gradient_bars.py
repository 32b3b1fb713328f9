"""How far off gradients are where forward convolutions alone were timed, and where some of the GPU's gradients were.

Each table of gradients is predicted by constants of forward kernels, with the scale and the constant of its source's
forward rows: as a GPU's are of which nobody timed any. How well such predictions do says more of them than the bar of
any layer that constants were fitted for. Of an H200's gradients some were timed: no constant was fitted on them, and
they have a bar of their own in the data type and of the length that they were timed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from error_bars import SourceFit, weights_of
from estimates import answered
from h200_gradients import timed_gradients
from h200_rows import Timed
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import family_of, unit_of
from headroom.predict.error_groups import BRIEF_US, holding
from headroom.predict.kernel_sorts import GRADIENT_SORTS, bar_kind, unseen_kind
from headroom.predict.model import predict_layers
from tables import DEEPBENCH_GPUS, deepbench_convolutions

#: Tables of gradients by data type: in fp16 they ran on tensor cores.
TABLES_OF = {DataType.FP32: {**DEEPBENCH_GPUS, "NV_T4": "t4"}, DataType.FP16: {"NV_T4": "t4"}}

GRADIENTS = ("dgrad", "wgrad")

#: The GPU whose gradients the stopwatch timed.
TIMED = load_gpu("h200")

#: What is known of them: none lasted as long as those that error bars call long.
TIMED_REGIMES = ("short", "brief")


@dataclass(frozen=True)
class Unseen:
    """One table: the distances of its rows from predictions that know no gradient, in percent of these;
    ``slower``, how many times as long as predicted the median row took; and the geometric mean of the errors.
    """

    kind: str
    source: str
    gpu: str
    dtype: DataType
    unit: str
    off_pct: np.ndarray
    slower: float
    gmae_pct: float

    @classmethod
    def of(
        cls, direction: str, source: str, gpu: str, dtype: DataType, unit: str, ratios: np.ndarray
    ) -> Unseen:  # fmt: skip
        """``ratios`` are the rows' times in units of the predictions."""
        off_pct = 100 * np.abs(ratios - 1)
        gmae_pct = 100 * float(np.expm1(np.abs(np.log(ratios)).mean())) if ratios.min() > 0 else np.nan
        return cls(bar_kind(direction), source, gpu, dtype, unit, off_pct, float(np.median(ratios)), gmae_pct)


def forgetting(calibration: Calibration) -> Calibration:
    """``calibration`` without constants that were fitted on gradients."""
    sorts = tuple(GRADIENT_SORTS.values())
    kept = {name: own for name, own in calibration.own_gemm.items() if not name.endswith(sorts)}
    return replace(calibration, own_gemm=kept)


def unseen_tables(calibration: Calibration) -> Iterator[Unseen]:
    theory = forgetting(calibration)
    for dtype, gpus in TABLES_OF.items():
        forward = {case.gpu.id: case for case in deepbench_convolutions(gpus, dtype=dtype)}
        fits = {
            gpu: SourceFit.of(answered(case, theory).time_us, case.measured_us, case.order)
            for gpu, case in forward.items()
        }
        for direction in GRADIENTS:
            for case in deepbench_convolutions(gpus, direction, dtype):
                fit = fits[case.gpu.id]
                own_us = fit.scale * answered(case, theory).time_us
                ratios = (case.measured_us - fit.constant_us) / own_us
                yield Unseen.of(direction, "DeepBench", case.gpu.id, dtype, unit_of(case.gpu, dtype), ratios)
    for network, rows in timed_gradients().items():
        for direction in GRADIENTS:
            some = [row for row in rows if row.layer.work.direction == direction]  # type: ignore[attr-defined]
            for dtype in sorted({row.dtype for row in some}):
                ratios = _ratios([row for row in some if row.dtype == dtype], theory)
                yield Unseen.of(direction, network, TIMED.id, dtype, unit_of(TIMED, dtype), ratios)


def _ratios(rows: Sequence[Timed], calibration: Calibration) -> np.ndarray:
    """Measured times in units of the predicted ones."""
    found = {
        state: predict_layers(
            [row.layer for row in rows], TIMED, rows[0].dtype, l2_state=state, calibration=calibration
        )
        for state in {row.l2 for row in rows}
    }
    times_us = [found[row.l2][i].time_us or np.nan for i, row in enumerate(rows)]
    if max(times_us) > BRIEF_US:
        raise ValueError(f"a gradient of {max(times_us):.0f} us: bars of long gradients can be made now, and are not")
    return np.array([row.measured_us for row in rows]) / np.array(times_us)


def unseen_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Per gradient, the half-width that holds nine of ten rows of all tables; none of them was fitted on."""
    found = list(unseen_tables(calibration))
    return [
        _bar(unseen_kind(kind), "plain", "several", "any", [table for table in found if table.kind == kind])
        for kind in GRADIENT_SORTS
    ]


def timed_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Per gradient of the H200 and data type, the half-width that holds nine of ten of its rows, of all networks."""
    found = [table for table in unseen_tables(calibration) if table.gpu == TIMED.id]
    return [
        {**_bar(kind, "tensor", family_of(TIMED), regime, tables), "dtype": str(dtype)}
        for kind in GRADIENT_SORTS
        for dtype in sorted({table.dtype for table in found})
        for regime in TIMED_REGIMES
        if (tables := [table for table in found if (table.kind, table.dtype) == (kind, dtype)])
    ]


def _bar(kind: str, unit: str, family: str, regime: str, tables: Sequence[Unseen]) -> dict[str, object]:
    distances = [table.off_pct for table in tables]
    return {
        "kind": kind, "unit": unit, "family": family, "regime": regime,
        "error_pct": round(holding(np.concatenate(distances), weights_of(distances)), 1),
        "rows": sum(map(len, distances)),
    }  # fmt: skip


def unseen_gradients(calibration: Calibration) -> list[dict[str, object]]:
    """For the page: each table with the bar that the other sources' tables give it, and with that of the same GPU's
    other networks where it has any."""
    found = list(unseen_tables(calibration))
    rows = []
    for table in found:
        alike = [other for other in found if other.kind == table.kind]
        strangers = [other for other in alike if other.gpu != table.gpu or other.dtype != table.dtype]
        kin = [other for other in alike if other.gpu == table.gpu == TIMED.id and other.source != table.source]
        rows.append(
            {
                "kind": table.kind, "source": table.source, "gpu": table.gpu, "dtype": str(table.dtype),
                "unit": table.unit, "rows": len(table.off_pct), "slower": round(table.slower, 2),
                "median_pct": round(float(np.median(table.off_pct)), 1),
                "gmae_pct": round(table.gmae_pct, 1), **_judged(table, strangers, ""),
                **(_judged(table, kin, "own_") if kin else {}),
            }
        )  # fmt: skip
    return rows


def _judged(table: Unseen, others: Sequence[Unseen], prefix: str) -> dict[str, float]:
    distances = [other.off_pct for other in others]
    bar_pct = holding(np.concatenate(distances), weights_of(distances))
    inside = round(float(np.mean(table.off_pct <= bar_pct)), 3)
    return {f"{prefix}bar_pct": round(bar_pct, 1), f"{prefix}inside_share": inside}
