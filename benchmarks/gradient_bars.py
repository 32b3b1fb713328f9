"""How far off gradients are where forward convolutions alone were timed, as on every GPU newer than Pascal.

Each table of gradients is predicted by constants of forward kernels, with the scale and the constant of its source's
forward rows: as a newer GPU's gradients are. How well such predictions do says more of them than the bar of any layer
that constants were fitted for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from error_bars import SourceFit, weights_of
from estimates import answered
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import unit_of
from headroom.predict.error_groups import holding
from headroom.predict.kernel_sorts import GRADIENT_SORTS, bar_kind, unseen_kind
from tables import DEEPBENCH_GPUS, deepbench_convolutions

#: Tables of gradients by data type: in fp16 they ran on tensor cores.
TABLES_OF = {DataType.FP32: {**DEEPBENCH_GPUS, "NV_T4": "t4"}, DataType.FP16: {"NV_T4": "t4"}}

GRADIENTS = ("dgrad", "wgrad")


@dataclass(frozen=True)
class Unseen:
    """One table: the distances of its rows from predictions that know no gradient, in percent of these, and
    ``slower``, how many times as long as predicted the median row took.
    """

    kind: str
    gpu: str
    dtype: DataType
    unit: str
    off_pct: np.ndarray
    slower: float


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
                device_us = case.measured_us - fit.constant_us
                yield Unseen(
                    bar_kind(direction), case.gpu.id, dtype, unit_of(case.gpu, dtype),
                    100 * np.abs(device_us / own_us - 1), float(np.median(device_us / own_us)),
                )  # fmt: skip


def unseen_bars(calibration: Calibration) -> list[dict[str, object]]:
    """Per gradient, the half-width that holds nine of ten rows of all tables; none of them was fitted on."""
    found = list(unseen_tables(calibration))
    return [_bar(kind, [table.off_pct for table in found if table.kind == kind]) for kind in GRADIENT_SORTS]


def _bar(kind: str, tables: list[np.ndarray]) -> dict[str, object]:
    return {
        "kind": unseen_kind(kind), "unit": "plain", "family": "several", "regime": "any",
        "error_pct": round(holding(np.concatenate(tables), weights_of(tables)), 1), "rows": sum(map(len, tables)),
    }  # fmt: skip


def unseen_gradients(calibration: Calibration) -> list[dict[str, object]]:
    """For the page: each table with the bar that the other tables give it."""
    found = list(unseen_tables(calibration))
    rows = []
    for table in found:
        others = [t.off_pct for t in found if t.kind == table.kind and t is not table]
        bar_pct = holding(np.concatenate(others), weights_of(others))
        rows.append(
            {
                "kind": table.kind, "gpu": table.gpu, "dtype": str(table.dtype), "unit": table.unit,
                "rows": len(table.off_pct), "slower": round(table.slower, 2),
                "median_pct": round(float(np.median(table.off_pct)), 1), "bar_pct": round(bar_pct, 1),
                "inside_share": round(float(np.mean(table.off_pct <= bar_pct)), 3),
            }
        )  # fmt: skip
    return rows
