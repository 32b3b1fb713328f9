"""The layer table as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from headroom.advise.analysis import Analysis
from headroom.report.answer import to_dict
from headroom.text import view

#: Columns that say which answer a row belongs to, then those of the layer; names are those of the JSON answer.
_ANSWER_COLUMNS = ("model", "gpu", "batch", "dtype", "l2")
_LAYER_COLUMNS = (
    "name", "kind", "operator", "module", "count", "shape", "macs", "flops", "bytes", "time_us", "error_pct",
    "source", "bottleneck", "floor_us", "l1_bytes", "l2_bytes", "dram_bytes", "implementation", "tile", "ctas",
    "waves", "tail_utilization", "predicted_us", "samples", "iqr_us", "noisy",
    "run_us",
)  # fmt: skip

COLUMNS = (*_ANSWER_COLUMNS, *_LAYER_COLUMNS)

#: A cell that starts with one of these is a formula to some spreadsheet.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

#: Longest text in a cell, in characters: a spreadsheet's own limit is 32,767, a reader's far lower.
_CELL_LIMIT = 200


def csv_chunks(analyses: Sequence[Analysis]) -> Iterator[str]:
    """The lines of a CSV file (RFC 4180, UTF-8): one row per configuration, figures of one occurrence.

    What is not known is an empty cell. Text that a spreadsheet would run as a formula gets a leading ``'``.
    """
    yield csv_line(COLUMNS)
    for analysis in analyses:
        answer = to_dict(analysis)
        for layer in answer["layers"]:
            cells = [answer[column] for column in _ANSWER_COLUMNS] + [layer[column] for column in _LAYER_COLUMNS]
            yield csv_line([csv_cell(cell) for cell in cells])


def csv_cell(value: Any) -> str:
    """A value as a cell that no spreadsheet runs; nothing for ``None``."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "x".join(map(str, value))
    if not isinstance(value, str):
        return repr(value)
    text = view(value, _CELL_LIMIT)
    return "'" + text if text.lstrip().startswith(_FORMULA_STARTS) else text


def csv_line(cells: Sequence[str]) -> str:
    """Cells as one line of a CSV file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
