"""``headroom predict``: a CSV table of layers in, the same table with predictions out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headroom.files import write_whole
from headroom.gpu.spec import GpuSpec
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration
from headroom.predict.delta import PAPER_TILES, ConvBatch, TileBatch, TileTable
from headroom.predict.delta import explain as explain_delta
from headroom.predict.im2col_traffic import paper_tiles
from headroom.predict.own.choice import calibration_of
from headroom.predict.table_answer import Answers, answer_rows
from headroom.predict.table_input import LayerRows, parse_rows
from headroom.predict.table_products import convolutions
from headroom.predict.table_read import check_header, read_cells
from headroom.predict.table_stream import ROWS_AT_ONCE, TableSummary, open_stream
from headroom.predict.table_text import TILE_COLUMNS, check_new, header_line, row_lines


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
    stream = open_stream(source, gpu, l2_state=l2_state)
    write_whole(out, stream.chunks())
    return stream.summary


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
    check_new(header)
    parsed = parse_rows(header, rows)
    answers = answer_rows(parsed, gpu, l2_state, calibration or calibration_of(gpu))
    return PredictedTable(tuple(header), rows, answers, parsed.errors)


def _cells_of(table: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[str]]]:
    header = list(dict.fromkeys(name for row in table for name in row))
    check_header(header, "the table")
    return header, [["" if row.get(n) is None else str(row[n]) for n in header] for row in table]


def csv_chunks(table: PredictedTable) -> Iterator[str]:
    """The answer as CSV text: every given column in its place, then the new ones."""
    yield header_line(table.header)
    for start in range(0, len(table.rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        yield row_lines(table.header, table.rows[part], table.answers.rows(part), table.errors[part])


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
    m, n, k = (parsed.sizes[name] for name in TILE_COLUMNS)
    if not m[0]:
        return PAPER_TILES
    return TileBatch(m, n, k) if k[0] else paper_tiles(m, n)
