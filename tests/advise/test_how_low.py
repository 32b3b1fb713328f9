"""Question 1: bounds in words and per data type, and how near every run comes to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advise.cases import case_of
from builders import H200, add, batch_norm, conv, graph, relu
from builders import timed as timed_by_hand
from executions import Scene
from headroom.advise.questions.answer import Table
from headroom.advise.questions.how_low import benanza_ratio, how_low
from headroom.graph.tensor import DataType
from measured_rows import Rows, row, run, timings

CONV, NORM, RELU = conv("c", "x"), batch_norm("n", "c"), relu("r", "n")
CHAIN = graph(CONV, NORM, RELU)
ALONE = timings(([CONV], row(30.0)), ([NORM], row(12.0)), ([RELU], row(8.0)))


def column(table: Table, head: str) -> list[object]:
    place = table.heads.index(head)
    return [cells[place] for cells in table.rows]


def test_the_sum_of_the_fastest_is_held_against_every_run() -> None:
    rows = Rows(ALONE, [run("cuda-graph", 100.0), run("eager", 400.0), run("compile", 62.5)])
    answer = how_low(case_of(CHAIN, rows))
    runs = answer.tables[1]
    assert column(runs, "run as") == ["compile", "cuda-graph", "eager"]
    assert column(runs, "one by one / run x") == [pytest.approx(0.8), pytest.approx(0.5), pytest.approx(0.125)]
    assert "takes 50.0 µs ± " in answer.sentence
    assert not answer.needs


def test_a_run_that_fuses_may_be_under_the_bound_and_is_told_so() -> None:
    answer = how_low(case_of(CHAIN, Rows(ALONE, [run("compile", 40.0)])))
    assert "ratio (LBL / measured) of 1.25, because that run fuses layers" in answer.sentence


def test_a_run_that_fuses_nothing_is_above_the_bound_for_reasons_that_are_named() -> None:
    stored = how_low(case_of(CHAIN, Rows(ALONE, [run("eager", 40.0)]))).sentence
    assert "fuses layers" not in stored
    assert "what it does less than the bound is not known" in stored
    model = graph(conv("a", "x"), relu("b", "a"))
    built = (
        Scene(model, host_us=1.0).run("a", ("sm80_xmma_fprop_tf32f32_tf32f32_f32_nhwc", 3.0)).run("b", ("relu", 3.0))
    )
    timed = replace(timed_by_hand(model, 100.0, 100.0), dtype=DataType.FP32)
    sentence = how_low(built.case(timed)).sentence
    assert (
        "because 2 of 2 layers are predicted, not measured and 1 layer ran in tf32 where the bound is for" in sentence
    )
    assert "fuses layers" not in sentence


def test_an_estimated_run_has_an_estimated_ratio() -> None:
    built = Scene(CHAIN, host_us=50.0)
    for name in "cnr":
        built.run(name, (name, 2.0))
    answer = how_low(built.case(recorder="pytorch"))
    assert "ratio (LBL / estimated) of " in answer.sentence
    assert str(column(answer.tables[1], "run as")[0]).startswith("your run, estimated (")


def test_there_is_a_row_for_every_type_that_the_gpu_has_units_for() -> None:
    table = how_low(case_of(CHAIN, Rows(ALONE))).tables[0]
    assert column(table, "data type") == ["bf16", *(d for d in DataType if d is not DataType.BF16 and H200.supports(d))]


def test_the_measured_share_is_that_of_the_type() -> None:
    shares = column(how_low(case_of(CHAIN, _only_in(DataType.BF16))).tables[0], "measured share pct")
    assert shares[0] == pytest.approx(100.0)
    assert not any(shares[1:])


def test_without_a_run_the_answer_says_how_to_get_one() -> None:
    answer = how_low(case_of(CHAIN, Rows(ALONE)))
    assert len(answer.tables) == 1
    assert "headroom measure MODEL --network --batch 1 --dtype bf16" in answer.needs


def test_branches_that_could_run_side_by_side_are_told() -> None:
    layers = [relu("s", "x"), conv("l", "s"), conv("m", "s", channels=32), add("j", "l", "m")]
    rows = Rows(timings(*(([layer], row(20.0)) for layer in layers)))
    assert "side by side no less than 60.0 µs" in how_low(case_of(graph(*layers), rows)).sentence
    assert "side by side" not in how_low(case_of(CHAIN, Rows(ALONE))).sentence


def test_a_ratio_needs_both_sides() -> None:
    assert benanza_ratio(None, 3.0) is None
    assert benanza_ratio(3.0, None) is None
    assert benanza_ratio(3.0, 0.0) is None
    assert benanza_ratio(3.0, 4.0) == 0.75


class _OneType(Rows):
    """Rows of one data type."""

    only = DataType.BF16

    def best(self, chains, dtype, l2):  # type: ignore[no-untyped-def]
        return super().best(chains, dtype, l2) if dtype is self.only else {}


def _only_in(dtype: DataType) -> Rows:
    rows = _OneType(ALONE)
    rows.only = dtype
    return rows
