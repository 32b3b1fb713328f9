"""Predictions for layers that a program holds as arrays: no text on the way.

>>> from headroom.gpu.sheets import load_gpu
>>> found = predict_columns({"op": "matmul", "m": [512, 4096], "n": 1024, "k": 768, "dtype": "bf16"}, load_gpu("h200"))
>>> len(found.answers.time_us), found.errors
(2, ['', ''])
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from headroom.errors import ModelError
from headroom.gpu.spec import GpuSpec
from headroom.predict.calibration import Calibration
from headroom.predict.own.choice import calibration_of
from headroom.predict.table_answer import Answers, answer_rows
from headroom.predict.table_input import INPUT_COLUMNS, parse_arrays

#: Rows that one thread looks at together.
_ROWS_AT_ONCE = 16_384

#: Threads beyond this wait for the interpreter more than they compute.
_MOST_THREADS = 4


@dataclass(frozen=True)
class PredictedColumns:
    """One entry per layer: the answers, and what is wrong with a layer that has none (else an empty text)."""

    answers: Answers
    errors: Sequence[str]


def predict_columns(
    columns: Mapping[str, npt.ArrayLike],
    gpu: GpuSpec,
    *,
    l2_state: str = "warm",
    calibration: Calibration | None = None,
) -> PredictedColumns:
    """Predict layers given by column (those of :mod:`.table_input`): arrays of one length, or one value for all.

    Memory beyond columns and answers does not grow with the number of layers. The answers are those of a table.

    Raises:
        ModelError: an unknown column, columns of different lengths, or none called ``op``.
    """
    unknown = [name for name in columns if name not in INPUT_COLUMNS]
    if unknown:
        raise ModelError(f"unknown column {unknown[0]!r}; expected some of {', '.join(INPUT_COLUMNS)}")
    if "op" not in columns:
        raise ModelError("there is no column op: add one that says conv2d or matmul")
    arrays = {name: np.atleast_1d(np.asarray(values)) for name, values in columns.items()}
    lengths = {len(values) for values in arrays.values()} - {1}
    if len(lengths) > 1 or any(values.ndim > 1 for values in arrays.values()):
        raise ModelError(f"the columns have different lengths: {', '.join(map(str, sorted(lengths)))}")
    count = lengths.pop() if lengths else 1
    known = calibration or calibration_of(gpu)
    answers, errors = Answers.empty(count), [""] * count

    def answer(start: int) -> None:
        part = slice(start, min(start + _ROWS_AT_ONCE, count))
        rows = parse_arrays({n: v if len(v) == 1 else v[part] for n, v in arrays.items()}, part.stop - start)
        _put(answers, part, answer_rows(rows, gpu, l2_state, known))
        errors[part] = rows.errors

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        # numpy lets go of the interpreter while it computes; every thread writes rows of its own.
        list(pool.map(answer, range(0, count, _ROWS_AT_ONCE)))
    return PredictedColumns(answers, errors)


def _put(answers: Answers, part: slice, some: Answers) -> None:
    for field in fields(Answers):
        getattr(answers, field.name)[part] = getattr(some, field.name)
