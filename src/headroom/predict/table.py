"""``headroom predict``: a CSV table of layers in, the same table with predictions out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headroom.errors import ModelError
from headroom.files import write_whole
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration, load_calibration
from headroom.predict.delta import PAPER_TILES, ConvBatch, TileBatch, TileTable
from headroom.predict.delta import explain as explain_delta
from headroom.predict.im2col_traffic import paper_tiles
from headroom.predict.table_answer import Answers, answer_rows, convolutions
from headroom.predict.table_input import LayerRows, check_header, parse_rows, read_cells

#: What is added to every row, in this order. Tile columns that the table has already are filled in place.
OUTPUT_COLUMNS = (
    "time_us", "error_pct", "bottleneck", "l1_bytes", "l2_bytes", "dram_bytes", "ctas", "waves",
    "tail_utilization", "tile_m", "tile_n", "tile_k", "error",
)  # fmt: skip
_TILE_COLUMNS = ("tile_m", "tile_n", "tile_k")

#: Rows turned into text at once when a table is written.
_ROWS_PER_CHUNK = 5000


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What became of a table: its rows, and how many of them could not be predicted."""

    rows: int
    bad_rows: int


@dataclass(frozen=True)
class PredictedTable:
    """A table with its answers; ``rows`` are the given cells, ``errors[i]`` is empty for a predicted row."""

    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    answers: Answers
    errors: Sequence[str]

    @property
    def summary(self) -> TableSummary:
        return TableSummary(len(self.errors), sum(1 for error in self.errors if error))


def predict_csv(source: Path, gpu: GpuSpec, out: Path, *, l2_state: str = "warm") -> TableSummary:
    """Predict every row of ``source`` and write the table with the answers to ``out``, whole or not at all.

    Raises:
        ModelError: the table cannot be read, or its header is wrong. A bad row is no exception.
        UsageError: ``out`` cannot be written.
    """
    table = predict_table(source, gpu, l2_state=l2_state)
    write_whole(out, csv_chunks(table))
    return table.summary


def predict_table(
    table: Path | Sequence[Mapping[str, object]],
    gpu: GpuSpec,
    *,
    l2_state: str = "warm",
    calibration: Calibration | None = None,
) -> PredictedTable:
    """Predict the rows of a CSV file or of a list of mappings (columns: see :mod:`.table_input`).

    Raises:
        ModelError: the table cannot be read, names a column twice, lacks ``op``, or has a column that the
            answer would overwrite.
    """
    header, rows = read_cells(table) if isinstance(table, Path) else _cells_of(table)
    for name in header:
        if name in OUTPUT_COLUMNS and name not in _TILE_COLUMNS:
            raise ModelError(f"the table has a column {name!r}, which the answer would overwrite: rename it")
    parsed = parse_rows(header, rows)
    answers = answer_rows(parsed, gpu, l2_state, calibration or load_calibration())
    return PredictedTable(tuple(header), rows, answers, parsed.errors)


def _cells_of(table: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[str]]]:
    header = list(dict.fromkeys(name for row in table for name in row))
    check_header(header, "the table")
    return header, [["" if row.get(n) is None else str(row[n]) for n in header] for row in table]


def csv_chunks(table: PredictedTable) -> Iterator[str]:
    """The answer as CSV text: every given column in its place, then the new ones."""
    given = list(table.header)
    added = [name for name in OUTPUT_COLUMNS if name not in given]
    yield _lines([[*given, *added]])
    for start in range(0, len(table.rows), _ROWS_PER_CHUNK):
        yield _lines(_filled(table, range(start, min(start + _ROWS_PER_CHUNK, len(table.rows))), added))


def _lines(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _filled(table: PredictedTable, which: range, added: Sequence[str]) -> list[list[str]]:
    """Rows ``which`` as they are written."""
    columns = {name: _texts(table, name, which) for name in OUTPUT_COLUMNS}
    tiles = [(table.header.index(name), columns[name]) for name in _TILE_COLUMNS if name in table.header]
    width = len(table.header)
    lines = []
    for position, index in enumerate(which):
        cells = list(table.rows[index])
        # A row with too many cells keeps them all in its last column, so that the new ones stay in line.
        cells = [*cells[: width - 1], ",".join(cells[width - 1 :])] if len(cells) > width else cells
        cells += [""] * (width - len(cells))
        for place, texts in tiles:
            cells[place] = cells[place] if cells[place].strip() else texts[position]
        lines.append([*cells, *(columns[name][position] for name in added)])
    return lines


def _texts(table: PredictedTable, name: str, which: range) -> list[str]:
    """One answer column as text: six significant digits, whole numbers in full, empty for a bad row."""
    part = slice(which.start, which.stop)
    errors = table.errors[part]
    if name == "error":
        return list(errors)
    values = getattr(table.answers, name)[part]
    if name == "bottleneck":
        texts = [str(value) for value in values]
    elif name in _TILE_COLUMNS:
        texts = [str(int(value)) if value else "" for value in values.tolist()]
    elif name in ("ctas", "l1_bytes", "l2_bytes", "dram_bytes"):
        texts = [str(int(value)) for value in np.round(values).tolist()]
    else:
        texts = [f"{value:.6g}" for value in values.tolist()]
    return ["" if error else text for text, error in zip(texts, errors, strict=True)]


def explain_row(table: PredictedTable, index: int, gpu: GpuSpec) -> list[str]:
    """The derivation of one row in DeLTA's terms, as lines of text, with the calibrated answer last."""
    if table.errors[index]:
        return [f"row {index + 1}: {table.errors[index]}"]
    parsed = parse_rows(table.header, [table.rows[index]])
    dtype = DataType(str(parsed.words["dtype"][0]))
    lines = [f"row {index + 1}: {_title(parsed)}, every term of DeLTA as published"]
    for term in explain_delta(_delta_batch(parsed, dtype), gpu, dtype, tiles=_delta_tiles(parsed)):
        note = f"  ({term.note})" if term.note else ""
        equation = f"eq. {term.equation}" if term.equation[:1].isdigit() else term.equation
        lines.append(f"  {term.name:<34} {term.value:>16.6g} {term.unit:<10} {equation:<9}{note}".rstrip())
    answer = table.answers
    lines.append(
        f"  calibrated: {answer.time_us[index]:.6g} us, plus or minus {answer.error_pct[index]:.3g} %, "
        f"limited by {answer.bottleneck[index]}"
    )
    return lines


def _title(parsed: LayerRows) -> str:
    size = {name: int(values[0]) for name, values in parsed.sizes.items()}
    if parsed.words["op"][0] == "matmul":
        product = f"matmul ({size['m']}x{size['k']})({size['k']}x{size['n']}), batch {size['batch']}"
        return product if parsed.words["direction"][0] == "forward" else f"{parsed.words['direction'][0]}: {product}"
    return (
        f"conv2d {parsed.words['direction'][0]}, n {size['n']}, c {size['c']}, {size['h']}x{size['w']}, k {size['k']}, "
        f"{size['r']}x{size['s']}, stride {size['stride_h']}x{size['stride_w']}"
    )


def _delta_batch(parsed: LayerRows, dtype: DataType) -> ConvBatch:
    """The row as the convolution that DeLTA sees; a matmul is a 1x1 convolution over ``m`` positions.

    Gradients are explained through the products that their kernels tile.
    """
    size = parsed.sizes
    if parsed.words["op"][0] == "matmul":
        return ConvBatch.build(n=size["m"], c=size["k"], h=1, w=1, k=size["n"], r=1, s=1, bytes_per_element=dtype.bytes)
    direction = parsed.words["direction"][0]
    if direction == "wgrad":
        return ConvBatch.build(
            n=size["k"] / size["groups"], c=size["n"] * size["p"] * size["q"], h=1, w=1,
            k=size["c"] / size["groups"] * size["r"] * size["s"], r=1, s=1, bytes_per_element=dtype.bytes,
        )  # fmt: skip
    if direction == "dgrad":
        return ConvBatch.build(
            n=size["n"], c=size["k"], h=size["h"], w=size["w"], k=size["c"], r=size["r"], s=size["s"],
            pad_h=(size["r"] - 1) // 2, pad_w=(size["s"] - 1) // 2, groups=size["groups"],
            bytes_per_element=dtype.bytes,
        )  # fmt: skip
    return convolutions(parsed, np.array([0], dtype=np.intp), dtype)


def _delta_tiles(parsed: LayerRows) -> TileBatch | TileTable:
    """The given tile, or the paper's look-up."""
    m, n, k = (parsed.sizes[name] for name in _TILE_COLUMNS)
    if not m[0]:
        return PAPER_TILES
    return TileBatch(m, n, k) if k[0] else paper_tiles(m, n)
