"""``headroom predict``: a table of layers in, a table of times and traffic out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headroom.cli.complain import complain
from headroom.cli.options import complete_gpu


class TableL2State(StrEnum):
    """States that measured tables are in. Where a benchmark launches with six copies of the weights, or of both
    operands, in turn, small ones stay in the cache and large ones do not."""

    WARM = "warm"
    COLD = "cold"
    WEIGHTS_ROTATED = "weights-rotated"
    OPERANDS_ROTATED = "operands-rotated"


def predict(
    table: Annotated[Path, typer.Argument(help="A CSV file with one layer per row.")],
    gpu: Annotated[str, typer.Option(help="A GPU's id or sheet.", autocompletion=complete_gpu)],
    out: Annotated[Path, typer.Option(help="Where to write the answer; - is stdout.")] = Path("-"),
    l2: Annotated[
        TableL2State, typer.Option(help="State of the L2 cache before each layer; rotated: six copies, in turn.")
    ] = TableL2State.WARM,
    explain: Annotated[bool, typer.Option("--explain", help="Print every term of each row.")] = False,
) -> None:
    """Time, bottleneck and traffic of many layers at once.

    Example: `headroom predict layers.csv --gpu v100-pcie-32gb --out times.csv`
    """
    from headroom.files import STDOUT, refuse_overwriting, write_to
    from headroom.gpu.names import is_path
    from headroom.gpu.sheets import load_gpu
    from headroom.predict.own.choice import calibration_note
    from headroom.predict.table import csv_chunks, explain_row, predict_table
    from headroom.predict.table_stream import open_stream

    refuse_overwriting((table, *filter(is_path, [gpu])), {"out": out})
    sheet = load_gpu(gpu)
    if explain:
        answer = predict_table(table, sheet, l2_state=l2)
        for row in range(len(answer.rows)):
            write_to(STDOUT, (f"{line}\n" for line in explain_row(answer, row, sheet)))
        if out != STDOUT:
            write_to(out, csv_chunks(answer))
        summary = answer.summary
    else:
        stream = open_stream(table, sheet, l2_state=l2)
        write_to(out, stream.chunks())
        summary = stream.summary
    if note := calibration_note(sheet):
        complain(note)
    if summary.bad_rows:
        bad = f"{summary.bad_rows} of {summary.rows} rows could not be predicted"
        complain(f"{bad}; the column 'error' says why")
