"""Answers from a real performance database: which system answers, and what a broken one does."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import headroom as hr
from builders import batch_norm, conv, graph, relu
from headroom.advise.measurements import implementation_text, shown
from headroom.gpu.sheets import load_gpu
from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.store import default
from headroom.store.rows import Counters, Implementation, Kernel
from headroom.store.store import Store
from measured_rows import SYSTEM
from recorded import record, sweep

CONV, NORM, RELU = conv("c", "x"), batch_norm("n", "c"), relu("r", "n")
MODEL = graph(CONV, NORM, RELU, name="net")
OLDER = replace(SYSTEM, driver="570.1")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("store") / "rows.sqlite", MODEL)


def test_every_layer_and_the_chain_are_answered_by_the_fastest_good_row(database: Path) -> None:
    analysis = hr.analyze(MODEL, "h200", "bf16", db=database)
    assert [answer.prediction.source for answer in analysis.answers] == ["measured"] * 3
    expected = [sweep(Chain.of([layer])).timings[0].median_us for layer in (CONV, NORM, RELU)]
    assert [answer.prediction.time_us for answer in analysis.answers] == pytest.approx(expected)
    assert analysis.bounds.fused_us == pytest.approx(sweep(Chain.of([CONV, NORM, RELU])).timings[0].median_us)
    assert analysis.bounds.fused_measured_share == 1.0
    assert analysis.system == SYSTEM.title
    assert analysis.measured_us == 840.0


def test_cold_rows_answer_cold_questions_and_no_other(database: Path) -> None:
    warm, cold = (hr.analyze(MODEL, "h200", "bf16", l2=l2, db=database) for l2 in ("warm", "cold"))
    assert cold.bounds.sequential_us == pytest.approx(1.4 * warm.bounds.sequential_us)


def test_another_data_type_or_gpu_is_not_answered_by_these_rows(database: Path) -> None:
    for gpu, dtype in (("h200", "fp16"), ("h100-sxm", "bf16")):
        analysis = hr.analyze(MODEL, gpu, dtype, db=database)
        assert analysis.measured_layers == 0
        theory = hr.analyze(MODEL, gpu, dtype, source="predicted")
        # Rows of another type have a say in what is predicted, and the answer says so; those of another GPU have none.
        corrected = any("theory is off for the same layers in bf16" in note for note in analysis.notes)
        assert corrected is (gpu == "h200")
        assert (analysis.bounds == theory.bounds) is not corrected
        with pytest.raises(hr.StoreError, match=f"run `headroom measure MODEL --batch 1 --dtype {dtype}`"):
            hr.analyze(MODEL, gpu, dtype, db=database, source="measured")


def test_what_the_hardware_counted_of_the_fastest_implementation_is_shown(tmp_path: Path) -> None:
    chain = Chain.of([CONV])
    ran = replace(sweep(chain).timings[0], kernels=(Kernel("nvjet_sm90_tst_64x8", (1, 1, 1), (128, 1, 1)),))
    with Store.open(tmp_path / "rows.sqlite") as store:
        store.record(replace(sweep(chain), timings=(ran,)))
        store.record_counters(SYSTEM, chain, DataType.BF16, [Counters(ran.implementation, 1e6, 2e6, 3e6, 0.25, 1.5)])
    answer = next(
        each for each in hr.analyze(MODEL, "h200", "bf16", db=tmp_path / "rows.sqlite").questions if each.number == 6
    )
    (table,) = [table for table in answer.tables if "by hardware counters" in table.title]
    assert table.rows[0][0] == "c"
    assert table.rows[0][6:8] == (25.0, 1.5)


def test_who_allows_tf32_is_answered_by_a_faster_strict_fp32_row_too(tmp_path: Path) -> None:
    rows = {layer: sweep(Chain.of([layer])) for layer in (CONV, NORM, RELU)}
    slow = replace(rows[CONV].timings[0], median_us=1000.0)
    with Store.open(tmp_path / "rows.sqlite") as store:
        for found in rows.values():
            store.record(replace(found, dtype=DataType.FP32))
        store.record(replace(rows[CONV], dtype=DataType.TF32, timings=(slow,)))
    tf32, fp32 = (hr.analyze(MODEL, "h200", dtype, db=tmp_path / "rows.sqlite") for dtype in ("tf32", "fp32"))
    assert tf32.measured_layers == 3
    assert [a.prediction.time_us for a in tf32.answers] == [a.prediction.time_us for a in fp32.answers]


def test_a_sheet_with_another_figure_is_another_gpu(database: Path) -> None:
    faster = replace(load_gpu("h200"), clock_mhz=2500.0)
    assert hr.analyze(MODEL, faster, "bf16", db=database).measured_layers == 0


def test_predicted_answers_ask_no_database(database: Path) -> None:
    assert hr.analyze(MODEL, "h200", "bf16", source="predicted").measured_layers == 0
    with pytest.raises(hr.UsageError, match="asks no database: leave out db and system"):
        hr.analyze(MODEL, "h200", "bf16", source="predicted", db=database)


@pytest.fixture
def two_systems(tmp_path: Path) -> Path:
    file = record(tmp_path / "rows.sqlite", MODEL)
    with Store.open(file) as store:
        store.record(sweep(Chain.of([CONV]), OLDER, factor=3.0))
    return file


def test_the_system_that_knows_most_of_the_model_answers_and_the_others_are_named(two_systems: Path) -> None:
    analysis = hr.analyze(MODEL, "h200", "bf16", db=two_systems)
    assert analysis.system == SYSTEM.title
    assert any(
        f"--system names one: {OLDER.id} ({OLDER.title}) of 1 layer or chain." in note for note in analysis.notes
    )


def test_a_system_that_knows_more_of_other_models_does_not_answer_for_this_one(tmp_path: Path) -> None:
    other = graph(conv("wide", "x", channels=96), conv("narrow", "y", channels=32), name="other")
    file = record(tmp_path / "rows.sqlite", other)
    with Store.open(file) as store:
        store.record(sweep(Chain.of([CONV]), OLDER))
    analysis = hr.analyze(MODEL, "h200", "bf16", db=file)
    assert (analysis.system, analysis.answers[0].prediction.source) == (OLDER.title, "measured")


def test_what_a_system_knows_in_another_data_type_or_cache_state_does_not_count(two_systems: Path) -> None:
    with Store.open(two_systems) as store:
        for layer in (CONV, NORM):
            store.record(sweep(Chain.of([layer]), OLDER, DataType.FP16))
    assert hr.analyze(MODEL, "h200", "bf16", db=two_systems).system == SYSTEM.title
    assert hr.analyze(MODEL, "h200", "fp16", db=two_systems).system == OLDER.title


def test_of_systems_that_know_as_much_the_users_own_answers_and_then_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, own, newest = tmp_path / "shipped.sqlite", tmp_path / "own.sqlite", replace(SYSTEM, driver="590.1")
    record(shipped, MODEL)
    with closing(sqlite3.connect(shipped)) as connection, connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("UPDATE timings SET measured_at = '2027-01-01T00:00:00Z'")
    monkeypatch.setattr(default, "shipped_files", lambda: (shipped,))
    monkeypatch.setenv("HEADROOM_DB", str(record(own, MODEL, system=OLDER)))
    assert hr.analyze(MODEL, "h200", "bf16").system == OLDER.title
    record(own, MODEL, system=newest)
    with closing(sqlite3.connect(own)) as connection, connection:
        key = connection.execute("SELECT key FROM systems WHERE id = ?", (newest.id,)).fetchone()
        connection.execute("UPDATE timings SET measured_at = '2026-12-01T00:00:00Z' WHERE systems_key = ?", key)
    assert hr.analyze(MODEL, "h200", "bf16").system == newest.title


def test_where_the_named_system_knows_nothing_those_that_do_are_named(two_systems: Path) -> None:
    with Store.open(two_systems) as store:
        store.record(sweep(Chain.of([CONV]), OLDER, DataType.FP16))
    analysis = hr.analyze(MODEL, "h200", "fp16", db=two_systems, system=SYSTEM.id)
    assert f"No layer of this model has been measured in fp16 with L2 warm on {SYSTEM.title}" in analysis.notes[0]
    assert f"--system names one: {OLDER.id}" in analysis.notes[1]


def test_the_user_names_another_system(two_systems: Path) -> None:
    analysis = hr.analyze(MODEL, "h200", "bf16", db=two_systems, system=OLDER.id)
    assert analysis.system == OLDER.title
    assert [answer.prediction.source for answer in analysis.answers] == ["measured", "predicted", "predicted"]
    assert analysis.answers[0].prediction.time_us == pytest.approx(
        sweep(Chain.of([CONV]), factor=3.0).timings[0].median_us
    )


def test_a_system_of_another_gpu_is_refused(two_systems: Path) -> None:
    with pytest.raises(hr.UsageError, match=f"system {OLDER.id} is of 'NVIDIA H200', not of"):
        hr.analyze(MODEL, "l4", "bf16", db=two_systems, system=OLDER.id)


def test_an_unknown_system_is_refused_with_the_known_ones(two_systems: Path) -> None:
    with pytest.raises(hr.StoreError, match=f"system 'zz' is unknown .* name one of .*{SYSTEM.id}"):
        hr.analyze(MODEL, "h200", "bf16", db=two_systems, system="zz")


def _sql(statement: str) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _sql("UPDATE timings SET median_us = 9e999"),
        _sql("UPDATE timings SET median_us = -1.0"),
        _sql("UPDATE timings SET median_us = 0.0, iqr_us = NULL"),
        _sql("UPDATE timings SET status = 'unstable'"),
        _sql("DELETE FROM timings"),
        _sql("UPDATE chains SET digest = 'x' || key"),
    ],
    ids=["infinite", "negative", "zero", "unstable", "no rows", "no chain"],
)
def test_a_database_without_a_good_row_leaves_the_answer_to_theory(
    two_systems: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(two_systems)
    analysis = hr.analyze(MODEL, "h200", "bf16", db=two_systems)
    theory = hr.analyze(MODEL, "h200", "bf16", source="predicted")
    assert (analysis.bounds, analysis.findings) == (theory.bounds, theory.findings)
    with pytest.raises(hr.StoreError, match="nothing has been measured on"):
        hr.analyze(MODEL, "h200", "bf16", db=two_systems, source="measured")


#: Ways to spoil a database that no version of Headroom knows.
HOSTILE: dict[str, Callable[[Path], object]] = {
    "status": _sql("UPDATE timings SET status = 'splendid'"),
    "text": _sql("UPDATE timings SET median_us = 'soon'"),
    "samples": _sql("UPDATE timings SET samples = 1e300"),
    "blob": _sql("UPDATE implementations SET backend = x'00ff'"),
    "system": _sql("UPDATE systems SET gpu = x'00ff'"),
    "moment": _sql("UPDATE timings SET measured_at = x'00ff'"),
    "network text": _sql("UPDATE networks SET dtype = 'fp3', median_us = 'never'"),
    "network status": _sql("UPDATE networks SET status = 'splendid'"),
    "network energy": _sql("UPDATE networks SET energy_mj = 'much', peak_bytes = x'00ff'"),
    "table": _sql("DROP TABLE launches"),
    "garbage": lambda file: file.write_bytes(b"SQLite format 3\0" + b"\xff" * 4000),
    "no database": lambda file: file.write_text("not a database"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_database_is_an_answer_or_a_store_error(two_systems: Path, how: str) -> None:
    HOSTILE[how](two_systems)
    try:
        analysis = hr.analyze(MODEL, "h200", "bf16", db=two_systems)
    except hr.StoreError as error:
        assert str(two_systems) in str(error)  # noqa: PT017 - either outcome is right, a crash is not
    else:
        assert sum(answer.count for answer in analysis.answers) == 3
        analysis.to_dict()


def test_the_same_database_gives_the_same_bytes(database: Path) -> None:
    from headroom.report.answer import to_json

    first, second = (to_json([hr.analyze(MODEL, "h200", "bf16", db=database)]) for _ in range(2))
    assert first == second


def test_reading_answers_changes_nothing_and_leaves_nothing(database: Path) -> None:
    before = database.read_bytes()
    hr.analyze(MODEL, "h200", "bf16", db=database)
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]


def test_the_users_own_database_answers_where_none_is_named(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_DB", str(database))
    assert hr.analyze(MODEL, "h200", DataType.BF16).measured_layers == 3


def test_a_broken_database_that_nobody_named_says_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_text("no database")
    monkeypatch.setenv("HEADROOM_DB", str(broken))
    with pytest.raises(hr.StoreError, match="or answer from theory with --source predicted"):
        hr.analyze(MODEL, "h200", "bf16")
    assert hr.analyze(MODEL, "h200", "bf16", source="predicted").measured_layers == 0


def test_settings_that_have_no_names_are_cut_short_for_people_alone() -> None:
    exact = Implementation("cublaslt", "algo43_tile15_x" + "2b0000000f" * 12, "nhwc")
    assert shown(implementation_text(exact)) == "cublaslt algo43_tile15_x2b00…, nhwc"
    assert "2b0000000f" * 12 in implementation_text(exact)
    plain = "cudnn eng22_k2=5_k13=1, nhwc"
    assert shown(plain) == plain
