"""Hopper's own constants, fitted on half of the layers timed on an H200, and error bars from the other half.

Hopper works in another way than the architectures before it: clusters of CTAs share the loads of an operand
(multicast), one warp group multiplies 64 rows at a time straight from shared memory, and large products are limited
by power. The libraries' kernels were all timed on it, so each has constants of its own (:mod:`kernel_fit`); what is
asked with a tile that none has falls to the tile model's own constants per sort of kernel and unit
(:mod:`h200_tiled`), and the streaming kernels have their own costs (:mod:`h200_streams`). A time is that of
the fastest implementation known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from error_bars import fold
from fourier_fit import fit_fourier
from gradient_bars import timed_bars
from h200_rows import Timed, timed_sizes
from h200_shipped import timed_layers
from h200_streams import fit_streams
from h200_tiled import fit_tiled, off, settle
from headroom.gpu.sheets import load_gpu
from headroom.predict.calibration import Calibration
from headroom.predict.constants import AttentionConstants, unit_of
from headroom.predict.error_groups import holding, transformed_kind
from headroom.predict.kernel_sorts import bar_kind
from headroom.predict.kernel_time import KernelSet
from headroom.predict.kinds.context import Context
from headroom.predict.kinds.layer_products import sorts_of
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Prediction
from kernel_fit import OF_PYTORCH, fit_kernels

GPU = load_gpu("h200")
FAMILY = "hopper"
TILED_OPS = ("matmul", "conv2d")

#: Held-out rows below which a group has no bar of its own: its data types are then taken together, and below
#: :data:`FEWEST_HELD` the states of the cache as well.
FEWEST = 20

#: Held-out rows below which the rows that were fitted on count too: of nine rows none is left outside a bar.
FEWEST_HELD = 10


def measured(rows: Sequence[Timed]) -> np.ndarray:
    return np.array([row.measured_us for row in rows])


def fit_attention(rows: Sequence[Timed], calibration: Calibration) -> AttentionConstants:
    """On the whole prediction, layer by layer."""

    # Least and most of what is possible, for the reasons given at LIMITS.
    least = np.array([0.1, 0.1, 0.0, 0.5, 0.5, 0.9, 0.85, 0.2])
    most = np.array([4.0, 4.0, 10.0, 0.9, 1.0, 1.15, 1.0, 1.0])

    def constants(x: np.ndarray) -> AttentionConstants:
        return AttentionConstants(*np.clip(np.exp(x), least, most).tolist())

    def objective(x: np.ndarray) -> float:
        return float(off(predicted(rows, replace(calibration, attention=constants(x))), measured(rows)).mean())

    first = np.log([2.2, 1.2, 0.5, 0.85, 0.8, 1.05, 0.6, 0.8])
    return constants(settle(objective, first, (0.3, 0.2, 0.1)))


def predicted(rows: Sequence[Timed], calibration: Calibration) -> np.ndarray:
    """What the package says about each row, in microseconds."""
    return np.array([answer.time_us for answer in answers_to(rows, calibration)])


def answers_to(rows: Sequence[Timed], calibration: Calibration) -> list[Prediction]:
    answers: dict[int, Prediction] = {}
    theories = {True: calibration, False: of_pytorch(calibration)}
    for dtype, l2, searched in sorted({(row.dtype, row.l2, is_searched(row)) for row in rows}):
        which = [i for i, row in enumerate(rows) if (row.dtype, row.l2, is_searched(row)) == (dtype, l2, searched)]
        layers = [rows[i].layer for i in which]
        found = predict_layers(layers, GPU, dtype, l2_state=l2, calibration=theories[searched])
        answers.update(zip(which, found, strict=True))
    return [answers[i] for i in range(len(rows))]


def is_searched(row: Timed) -> bool:
    """Whether the row's time is that of the fastest of all implementations, not of PyTorch's own choice alone."""
    return bool(row.digest) or row.op != "matmul"


def of_pytorch(calibration: Calibration) -> Calibration:
    """For products as PyTorch runs them: of the library's kernels alone, not of those of all libraries."""
    sets = {
        name: _of_pytorch(known) if name.endswith(" matmul") else known
        for name, known in calibration.own_kernels.items()
    }
    return replace(calibration, own_kernels=sets)


def _of_pytorch(known: KernelSet) -> KernelSet:
    which = [i for i, name in enumerate(known.names) if name.startswith(tuple(f"{family} " for family in OF_PYTORCH))]
    return replace(
        known, names=tuple(known.names[i] for i in which), kernels=known.kernels.take(np.array(which, dtype=np.intp))
    )


def with_hopper(calibration: Calibration) -> Calibration:
    """``calibration`` with Hopper's own constants."""
    rows = [row for row in timed_layers() if not row.held_out]
    own = {f"{FAMILY} {name}": constants for name, constants in fit_tiled(rows, GPU).items()}
    streams = fit_streams([row for row in rows if row.op not in (*TILED_OPS, "attention")], GPU)
    fitted = replace(calibration, own_gemm={**calibration.own_gemm, **own}, own_stream={FAMILY: streams})
    # Attention's constants are those of every GPU: networks hold too few sizes to fit them on.
    fused = [row for row in timed_sizes() if row.op == "attention" and not row.held_out]
    return replace(fitted, attention=fit_attention(fused, fitted))


def with_kernels(calibration: Calibration, rows: Sequence[Timed] | None = None) -> Calibration:
    """``calibration`` with the libraries' own kernels on Hopper, fitted on ``rows``: by default those not held out."""
    rows = [row for row in timed_layers() if not row.held_out] if rows is None else rows
    sets = {f"{FAMILY} {name}": known for name, known in fit_kernels(rows, GPU).items()}
    return replace(calibration, own_kernels=sets, own_transforms={FAMILY: fit_fourier(rows, GPU, calibration)})


def hopper_bars(calibration: Calibration, without: int | None = None) -> list[dict[str, object]]:
    """Per sort of kernel, unit, data type and cache state, the half-width that holds nine of ten held-out rows; and
    the bars of the gradients that were timed.

    The rows of one :func:`error_bars.fold` stay ``without``, if given.
    """
    rows = [row for row in timed_layers() if fold([row.label])[0] != without]
    far = 100 * np.abs(measured(rows) / predicted(rows, calibration) - 1)
    groups: dict[tuple[str, str, str, str], list[float]] = {}
    fitted: dict[tuple[str, str], list[float]] = {}
    for row, key, distance in zip(rows, groups_of(rows, calibration), far, strict=True):
        if row.held_out:
            groups.setdefault(key, []).append(float(distance))
        else:
            fitted.setdefault(key[:2], []).append(float(distance))
    for few, wider in ((FEWEST, lambda dtype, l2: ("", l2)), (FEWEST_HELD, lambda dtype, l2: ("", ""))):
        for (kind, unit, dtype, l2), distances in sorted(groups.items()):
            if len(distances) < few:
                del groups[kind, unit, dtype, l2]
                groups.setdefault((kind, unit, *wider(dtype, l2)), []).extend(distances)
    for (kind, unit, dtype, l2), distances in groups.items():
        if not dtype and not l2 and len(distances) < FEWEST_HELD:
            distances += fitted.get((kind, unit), [])
    found = [
        {
            "kind": kind, "unit": unit, "family": FAMILY, "regime": "any",
            "error_pct": round(holding(distances), 1), "rows": len(distances), "dtype": dtype, "l2": l2,
        }
        for (kind, unit, dtype, l2), distances in sorted(groups.items())
    ]  # fmt: skip
    return [*found, *timed_bars(calibration)]


def groups_of(rows: Sequence[Timed], calibration: Calibration) -> list[tuple[str, str, str, str]]:
    """Kind, unit, data type and cache state of each row's error bar."""
    sorts = kernel_sorts_of(rows, calibration)
    for i, answer in enumerate(answers_to(rows, calibration)):
        sorts[i] = transformed_kind("") if "FFT" in answer.algorithm else sorts[i]
    units = [unit_of(GPU, row.dtype) if row.op in (*TILED_OPS, "attention") else "plain" for row in rows]
    return [(sort, unit, str(row.dtype), row.l2) for sort, unit, row in zip(sorts, units, rows, strict=True)]


def kernel_sorts_of(rows: Sequence[Timed], calibration: Calibration) -> list[str]:
    """What the error bars call each row's kernel."""
    sorts = [row.op for row in rows]
    for dtype in sorted({row.dtype for row in rows}):
        which = [i for i, row in enumerate(rows) if row.dtype == dtype and row.op in TILED_OPS]
        found = sorts_of([rows[i].layer for i in which], Context(GPU, dtype, "warm", None, calibration))
        for i, sort in zip(which, found, strict=True):
            sorts[i] = bar_kind(sort)
    return sorts
