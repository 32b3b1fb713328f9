"""The layer table as CSV."""

from __future__ import annotations

import csv
import io

from headroom.report.answer import to_dict
from headroom.report.csv_table import COLUMNS, csv_chunks
from report.factory import FORMULA, make_analysis


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_there_is_a_row_per_configuration_with_the_figures_of_the_json_answer() -> None:
    analysis = make_analysis(hostile=False)
    rows, layers = _rows("".join(csv_chunks([analysis]))), to_dict(analysis)["layers"]
    assert len(rows) == len(layers)
    assert tuple(rows[0]) == COLUMNS
    for row, layer in zip(rows, layers, strict=True):
        assert row["name"] == layer["name"]
        assert float(row["time_us"]) == layer["time_us"]
        assert int(row["dram_bytes"]) == layer["dram_bytes"]


def test_several_answers_follow_each_other_under_one_heading() -> None:
    analyses = [make_analysis(1, hostile=False), make_analysis(8, hostile=False)]
    assert {row["batch"] for row in _rows("".join(csv_chunks(analyses)))} == {"1", "8"}


def test_a_name_that_is_a_formula_is_text_in_a_spreadsheet() -> None:
    names = [row["name"] for row in _rows("".join(csv_chunks([make_analysis()])))]
    assert "'" + FORMULA in names
    assert not [name for name in names if name.startswith(("=", "+", "-", "@"))]


def test_what_is_unknown_is_an_empty_cell() -> None:
    row = next(row for row in _rows("".join(csv_chunks([make_analysis()]))) if row["kind"] == "unknown")
    assert (row["time_us"], row["error_pct"], row["tile"], row["ctas"]) == ("", "", "", "")


def test_every_line_is_printable_and_no_cell_is_a_megabyte() -> None:
    text = "".join(csv_chunks([make_analysis()]))
    assert all(line.isprintable() for line in text.splitlines())
    assert len(text) < 200_000
