"""A GPU's own calibration: measured rows bring predictions nearer, few do no harm, and the answer names it."""

from __future__ import annotations

import io
import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import headroom as hr
from builders import conv, graph, matmul, relu
from headroom.cli.main import app
from headroom.errors import StoreError, UsageError
from headroom.gpu.sheets import load_gpu
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.predict.calibration import Calibration, load_calibration
from headroom.predict.model import predict_layers
from headroom.predict.own.calibrate import calibrate_own
from headroom.predict.own.choice import calibration_note, calibration_of, forget, keep, own_calibration, own_file
from headroom.predict.own.fit import MeasuredLayer, fit_terms, group_of, predicted_us, spread
from headroom.predict.own.record import OwnCalibration, from_json, to_json
from headroom.predict.own.terms import GROUPS, Terms, with_terms
from headroom.report.exploration_terminal import render as render_exploration
from headroom.report.staircase_terminal import render as render_staircases
from headroom.store.default import shipped_files
from headroom.store.rows import System

H200 = load_gpu("h200")
SYSTEM = System("NVIDIA H200", "580", "13.0", "9.19", "13.1", "2.11")

_FASTEST = """
    SELECT chains.layers, timings.dtype, min(timings.median_us)
    FROM timings JOIN chains ON chains.key = timings.chains_key
    WHERE timings.status = 'ok' AND timings.median_us IS NOT NULL AND timings.l2 = 'warm'
      AND chains.key % 13 = 0 AND timings.dtype = 'bf16'
    GROUP BY chains.key, timings.dtype ORDER BY chains.digest
"""


@cache
def recorded() -> tuple[MeasuredLayer, ...]:
    """Some of the layers that the package ships, as an H200 ran them in bf16, in an order of no meaning."""
    rows = list(_rows())
    random.Random(7).shuffle(rows)
    return tuple(rows)


def _rows() -> Iterator[MeasuredLayer]:
    (file,) = [file for file in shipped_files() if "h200" in file.name]
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    for text, dtype, time_us in connection.execute(_FASTEST).fetchall():
        layers = Chain.from_json(json.loads(text)).layers
        if len(layers) == 1 and group_of(layers[0], H200, DataType(dtype)):
            yield MeasuredLayer(layers[0], DataType(dtype), "warm", float(time_us))
    connection.close()


def without_hopper() -> Calibration:
    """The shipped calibration as it would be had nobody measured a Hopper GPU."""
    known = load_calibration()
    others = tuple(row for row in known.errors if row.family != "hopper")
    own = {name: sets for name, sets in known.own_gemm.items() if not name.startswith("hopper")}
    return replace(known, own_gemm=own, own_stream={}, own_kernels={}, own_transforms={}, errors=others)


def geometric_error(rows: list[MeasuredLayer], calibration: Calibration) -> float:
    measured = np.array([row.time_us for row in rows])
    return float(np.exp(np.mean(np.abs(np.log(predicted_us(rows, H200, calibration) / measured)))) - 1)


def test_held_out_error_falls_with_every_further_measured_row() -> None:
    fitted, held = spread(recorded(), 2)
    hidden = without_hopper()
    known = [{}, *(fit_terms(fitted[:count], H200, hidden) for count in (10, 30, 100))]
    errors = [geometric_error(held, with_terms(hidden, H200, terms)) for terms in known]
    assert len(fitted) >= 100
    assert errors[0] > 0.5
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_rows_that_are_wrong_by_far_move_little() -> None:
    fitted, held = spread(recorded(), 2)
    hidden = without_hopper()
    wrong = [replace(row, time_us=10 * row.time_us) if place % 8 == 0 else row for place, row in enumerate(fitted[:64])]
    right, spoiled = (
        geometric_error(held, with_terms(hidden, H200, fit_terms(rows, H200, hidden))) for rows in (fitted[:64], wrong)
    )
    assert spoiled < 1.35 * right


def test_ten_rows_never_spoil_constants_that_were_right() -> None:
    fitted, held = spread(recorded(), 2)
    shipped = load_calibration()
    before = geometric_error(held, shipped)
    for start in range(0, 40, 10):
        terms = fit_terms(fitted[start : start + 10], H200, shipped)
        assert geometric_error(held, with_terms(shipped, H200, terms)) < before + 0.05


def test_terms_of_one_change_nothing_and_each_acts_on_its_group_alone() -> None:
    known = load_calibration()
    layers = [conv("c", "x", 256, 28), matmul("m", "x", 2048, 2048, 2048), relu("r", "x")]

    def times(terms: dict[str, Terms], gpu: hr.api.GpuSpec = H200) -> list[float]:
        answers = predict_layers(layers, gpu, DataType.BF16, calibration=with_terms(known, gpu, terms))
        return [answer.time_us or 0.0 for answer in answers]

    usual = [answer.time_us for answer in predict_layers(layers, H200, DataType.BF16, calibration=known)]
    assert times({}) == usual == times({group: Terms() for group in GROUPS})
    slow = Terms(2.0, 2.0, 2.0, 2.0, 2.0)
    for place, group in enumerate(("tensor convolution", "tensor matmul", "streams")):
        found = times({group: slow})
        assert found[place] > 1.3 * usual[place]
        assert [x for i, x in enumerate(found) if i != place] == [x for i, x in enumerate(usual) if i != place]


@cache
def own_of_sixty() -> OwnCalibration:
    return calibrate_own(recorded()[:60], H200, SYSTEM, without_hopper())


def test_the_file_gives_back_what_was_fitted_and_a_damaged_one_is_refused() -> None:
    own = own_of_sixty()
    assert from_json(to_json(own), "there") == own
    assert own.rows == 60
    assert sum(gain.rows for gain in own.gains) == 60
    for text in ("", "{}", "[]", to_json(own).replace('"launch": ', '"launch": -')):
        with pytest.raises(UsageError, match=r"there is no calibration of this version of Headroom"):
            from_json(text, "there")


def test_a_group_that_is_brought_no_nearer_keeps_the_shared_constants() -> None:
    own = own_of_sixty()
    for gain in own.gains:
        assert (gain.group in own.terms) == (gain.after_pct < gain.before_pct)
    assert "streams" in own.terms


def test_error_bars_of_an_own_calibration_come_from_rows_it_had_not_seen_and_are_narrower() -> None:
    blind = without_hopper()
    own = calibrate_own(recorded()[:120], H200, SYSTEM, blind)
    tuned = own.applied(blind, H200)
    before, after = (c.error_pct("elementwise", "plain", H200, "short", DataType.BF16, "warm") for c in (blind, tuned))
    assert after < before
    assert {row.family for row in own.errors} == {"hopper"}
    assert all(row.rows >= 10 for row in own.errors)


def test_every_later_answer_uses_it_names_it_and_forgets_it() -> None:
    model = graph(conv("c", "x"), relu("r", "c"))
    own = replace(own_of_sixty(), terms={"streams": Terms(launch=3.0)})
    shipped = hr.analyze(model, H200, "bf16", source="predicted")
    keep(own, H200)
    try:
        assert own_calibration(H200) == own
        tuned = hr.analyze(model, H200, "bf16", source="predicted")
        assert tuned.bounds.sequential_us > shipped.bounds.sequential_us
        assert tuned.to_dict()["calibration"] == own.title
        assert any(own.title in note for note in tuned.notes)
        assert own.title in (calibration_note(H200) or "")
        other_sheet = replace(H200, clock_mhz=1000.0)
        assert own_calibration(other_sheet) is None
        assert calibration_of(load_gpu("a100-80gb-sxm")) is load_calibration()
    finally:
        assert forget(H200)
    assert not forget(H200)
    again = hr.analyze(model, H200, "bf16", source="predicted")
    assert again.to_dict() == shipped.to_dict()
    assert shipped.to_dict()["calibration"].startswith("constants shipped on ")


def test_explorations_and_staircases_name_it_in_every_output(tmp_path: Path) -> None:
    model, own = graph(conv("c", "x")), own_of_sixty()
    sentence = f"Predicted times are made with {own.title} (headroom calibrate)."
    keep(own, H200)
    try:
        answers = (
            hr.explore(model, H200, {"sms": [1, 2]}, dtype="bf16"),
            hr.staircase(model, H200, widths="64:128:64", dtype="bf16", source="predicted"),
        )
        for answer in answers:
            told = answer.to_dict()
            assert told["calibration"] == own.title
            assert sentence in told["notes"]
            assert sentence in answer.to_html(tmp_path / "page.html").read_text()
        console = Console(file=io.StringIO(), width=200)
        render_exploration(answers[0], console)
        render_staircases(answers[1], console)
        assert console.file.getvalue().count(own.title) == 2  # type: ignore[attr-defined]
    finally:
        forget(H200)
    shipped = hr.explore(model, H200, {"sms": [1, 2]}, dtype="bf16").to_dict()
    assert shipped["calibration"].startswith("constants shipped on ")
    assert not any("headroom calibrate" in note for note in shipped["notes"])
    assert hr.explore(model, H200, {"sms": [1, 2]}, dtype="bf16", theory="delta").to_dict()["calibration"] == ""


@pytest.mark.parametrize(
    ("stale", "reason"),
    [
        ({"shared": "another"}, "the constants that come with Headroom have changed since"),
        ({"sheet": "another"}, "they were fitted with another sheet of H200 SXM 141GB"),
    ],
)
def test_a_calibration_that_no_longer_counts_is_named_in_every_answer(
    tmp_path: Path, stale: dict[str, str], reason: str
) -> None:
    own = replace(own_of_sixty(), **stale)
    table = tmp_path / "table.csv"
    table.write_text("op,m,n,k\nmatmul,1,2,3\n")
    keep(own, H200)
    try:
        assert own_calibration(H200) is None
        analysis = hr.analyze(graph(relu("r", "x")), H200, "bf16", source="predicted")
        assert analysis.to_dict()["calibration"].startswith("constants shipped on ")
        said = [" ".join(analysis.notes), CliRunner().invoke(app, ["predict", str(table), "--gpu", "h200"]).stderr]
    finally:
        forget(H200)
    assert all(f"{own.title} do not count here: {reason}. headroom calibrate fits them anew" in text for text in said)


def test_where_it_cannot_be_kept_or_deleted_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "headroom").write_text("no folder")
    with pytest.raises(UsageError, match=r"cannot write .*h200\.json"):
        keep(own_of_sixty(), H200)
    assert not forget(H200)
    (tmp_path / "headroom").unlink()
    own_file(H200).mkdir(parents=True)
    with pytest.raises(UsageError, match=r"cannot delete .*h200\.json"):
        forget(H200)


def test_a_gpu_that_nothing_was_measured_on_is_told_what_to_do() -> None:
    with pytest.raises(StoreError, match=r"nothing was measured on .*: run headroom measure on it first"):
        hr.calibrate("l4")
    with pytest.raises(StoreError, match="no single layer was measured"):
        calibrate_own([], H200, SYSTEM)


def test_the_command_forgets_what_is_there() -> None:
    keep(own_of_sixty(), H200)
    runner = CliRunner()
    assert "deleted" in runner.invoke(app, ["calibrate", "--gpu", "h200", "--forget"]).output
    assert "there was none" in runner.invoke(app, ["calibrate", "--gpu", "h200", "--forget"]).output
    assert not own_file(H200).exists()
