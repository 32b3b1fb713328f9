"""Fitting a GPU's own terms to measured layers, from few rows or many.

Each group's five factors are the ones with the least sum of two things: how far off the rows are (large errors count
in proportion, not squared) and how far the factors are from 1 (the prior: shared constants are right to about a third
on a GPU that they were not fitted on). Ten rows move the terms a little, a hundred settle them; a row that is wrong by
a factor of three moves nothing much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from headroom.gpu.spec import GpuSpec
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.constants import unit_of
from headroom.predict.gemm_problems import Floats
from headroom.predict.kinds.layer_products import forward_sorts, is_direct
from headroom.predict.model import predict_layers
from headroom.predict.own.terms import Terms, with_terms

#: How far off a prediction with the right terms is (the model's form errs too), and a factor on a GPU not fitted on.
#: Both as logarithms.
ROW_SIGMA, PRIOR_SIGMA = 0.2, 0.3

#: Rows of one sort of convolution below which it has its group's terms.
FEWEST = 5

#: Parts that rows are dealt to: each is judged by terms fitted on the others.
PARTS = 5

#: Terms beyond these are no physics any more: something else is wrong with the rows.
LEAST, MOST = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class MeasuredLayer:
    """One layer with its fastest measured time."""

    layer: Layer
    dtype: DataType
    l2: str
    time_us: float


def group_of(layer: Layer, gpu: GpuSpec, dtype: DataType) -> str | None:
    """The group of kernels that runs a layer; ``None`` for what has no terms (free, unknown, recurrent)."""
    match layer.kind:
        case LayerKind.CONVOLUTION if not is_direct(layer):
            return f"{unit_of(gpu, dtype)} convolution"
        case LayerKind.MATMUL:
            return f"{unit_of(gpu, dtype)} matmul"
        case LayerKind.ATTENTION:
            return "attention"
        case LayerKind.FREE | LayerKind.UNKNOWN | LayerKind.RECURRENT:
            return None
    return "streams"


def fit_terms(rows: Sequence[MeasuredLayer], gpu: GpuSpec, calibration: Calibration) -> dict[str, Terms]:
    """The terms of every group that has rows, and of each sort of convolution that has :data:`FEWEST` of them.

    A sort's prior is its group: kernels of one library on one unit are nearer to each other than to other GPUs'.
    """
    terms: dict[str, Terms] = {}
    for group, members in sorted(_grouped(rows, lambda row: group_of(row.layer, gpu, row.dtype)).items()):
        terms[group] = _fit(members, group, Terms(), {}, gpu, calibration)
        if group.endswith("convolution"):
            for sort, alike in sorted(_grouped(members, lambda row: _sort_of(row, gpu)).items()):
                if len(alike) >= FEWEST:
                    name = f"{group}: {sort}"
                    terms[name] = _fit(alike, name, terms[group], terms, gpu, calibration)
    return terms


def _sort_of(row: MeasuredLayer, gpu: GpuSpec) -> str | None:
    """The sort of kernel that runs a forward convolution; ``None`` for the usual one and for gradients."""
    if getattr(row.layer.work, "direction", "") != "forward":
        return None
    sort = forward_sorts([row.layer], row.dtype, unit_of(gpu, row.dtype))[0]
    return None if sort == "forward" else sort


def _grouped(
    rows: Sequence[MeasuredLayer], name_of: Callable[[MeasuredLayer], str | None]
) -> dict[str, list[MeasuredLayer]]:
    groups: dict[str, list[MeasuredLayer]] = {}
    for row in rows:
        name = name_of(row)
        if name is not None:
            groups.setdefault(name, []).append(row)
    return groups


def _fit(
    rows: Sequence[MeasuredLayer],
    name: str,
    prior: Terms,
    known: Mapping[str, Terms],
    gpu: GpuSpec,
    calibration: Calibration,
) -> Terms:
    # scipy takes a third of a second to import: only who fits pays.
    from scipy.optimize import least_squares

    measured = np.log([row.time_us for row in rows])
    centre = np.log(astuple(prior))

    def residuals(x: Floats) -> Floats:
        trial = with_terms(calibration, gpu, {**known, name: Terms(*np.exp(centre + x).tolist())})
        off = (np.log(predicted_us(rows, gpu, trial)) - measured) / ROW_SIGMA
        # Half of the square of this is sqrt(1 + off^2) - 1: quadratic at first, then linear.
        soft = np.sign(off) * np.sqrt(2.0 * (np.sqrt(1.0 + off * off) - 1.0))
        return np.concatenate([soft, x / PRIOR_SIGMA])

    bounds = (np.log(LEAST) - centre, np.log(MOST) - centre)
    found = least_squares(residuals, np.zeros_like(centre), bounds=bounds, diff_step=[1e-2], max_nfev=15)
    return Terms(*(float(f"{value:.4g}") for value in np.exp(centre + found.x)))


def predicted_us(rows: Sequence[MeasuredLayer], gpu: GpuSpec, calibration: Calibration) -> Floats:
    """What the theory says of each row."""
    states: dict[tuple[DataType, str], list[int]] = {}
    for index, row in enumerate(rows):
        states.setdefault((row.dtype, row.l2), []).append(index)
    times = np.ones(len(rows))
    for (dtype, l2), which in states.items():
        answers = predict_layers([rows[i].layer for i in which], gpu, dtype, l2_state=l2, calibration=calibration)
        times[which] = [answer.time_us or 1.0 for answer in answers]
    return times


def spread(rows: Sequence[MeasuredLayer], parts: int) -> list[list[MeasuredLayer]]:
    """``rows`` dealt to ``parts`` so that equal configurations stay together."""
    keys = {row.layer.configuration: place for place, row in reversed(list(enumerate(rows)))}
    order = {key: rank for rank, key in enumerate(sorted(keys, key=keys.__getitem__))}
    dealt: list[list[MeasuredLayer]] = [[] for _ in range(parts)]
    for row in rows:
        dealt[order[row.layer.configuration] % parts].append(row)
    return dealt


def tested(rows: Sequence[MeasuredLayer], gpu: GpuSpec, calibration: Calibration) -> tuple[Floats, list[MeasuredLayer]]:
    """Each row as predicted with terms fitted on the other parts; the rows come in the order of the answer."""
    dealt = spread(rows, PARTS)
    times: list[Floats] = []
    for part in dealt:
        rest = [row for other in dealt if other is not part for row in other]
        times.append(predicted_us(part, gpu, with_terms(calibration, gpu, fit_terms(rest, gpu, calibration))))
    return np.concatenate(times), [row for part in dealt for row in part]
