"""Benanza's published tables become rows of ours, whatever their order and GPU; anything else is refused whole."""

from __future__ import annotations

import csv
import gzip
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom.errors import ModelError, UsageError
from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution
from headroom.store.benanza.source import BenanzaSource
from headroom.store.check import problems
from headroom.store.merge import StoreSource, merge
from headroom.store.record import ChainRecord
from headroom.store.rows import Status, Timing
from headroom.store.sources import source_of
from headroom.store.store import Store

TABLES = Path(__file__).resolve().parents[1] / "benanza_tables"

Rows = list[dict[str, str]]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A copy of the extract to be spoilt."""
    folder = tmp_path / "tables"
    shutil.copytree(TABLES, folder)
    return folder


def read(folder: Path, name: str) -> Rows:
    with (folder / f"benanza_{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def rewrite(folder: Path, name: str, rows: Rows) -> None:
    with (folder / f"benanza_{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def change(folder: Path, name: str, column: str, value: str, line: int = 2) -> None:
    rows = read(folder, name)
    rows[line - 2][column] = value
    rewrite(folder, name, rows)


def times(source: BenanzaSource) -> dict[tuple[str, str, DataType, str], float | None]:
    return {
        (record.system.gpu, record.chain.digest, record.dtype, timing.implementation.name): timing.median_us
        for record in source.records()
        for timing in record.timings
    }


def of(source: BenanzaSource, gpu: str, wanted: Callable[[Chain], bool]) -> list[ChainRecord]:
    return [each for each in source.records() if each.system.gpu == gpu and wanted(each.chain)]


def test_every_call_is_a_row_with_its_time() -> None:
    source = BenanzaSource([TABLES])
    kernels = {row["kernel_id"]: row for row in read(TABLES, "kernels")}
    found = {(record.system.gpu, timing.median_us) for record in source.records() for timing in record.timings}
    for row in read(TABLES, "kernel_times"):
        assert (row["gpu"].replace("_", " "), float(row["real_ns"]) / 1e3) in found, kernels[row["kernel_id"]]


def test_the_system_is_what_the_table_tells_and_no_more() -> None:
    systems = list(BenanzaSource([TABLES]).systems().values())
    assert sorted(system.gpu for system in systems) == ["TITAN Xp", "Tesla V100-SXM2-16GB"]
    assert {(system.driver, system.cudnn, system.torch) for system in systems} == {("", "7.6.3", "")}
    assert {system.cuda for system in systems if system.gpu == "TITAN Xp"} == {"10.1"}


def test_a_convolution_keeps_its_algorithm_and_its_geometry() -> None:
    source = BenanzaSource([TABLES])

    def squeeze(chain: Chain) -> bool:
        work = chain.anchor.work
        return isinstance(work, Convolution) and (work.in_channels, work.out_channels, work.in_size, work.batch) == (
            64, 16, (55, 55), 1,
        )  # fmt: skip

    bare, biased = sorted(of(source, "TITAN Xp", squeeze), key=lambda record: len(record.chain.weights))
    (alone,), (both,) = bare.timings, biased.timings
    assert (alone.implementation.backend, alone.implementation.name) == ("cudnn", "IMPLICIT_GEMM")
    assert (alone.l2, alone.median_us, alone.iqr_us) == ("warm", 15.357, None)
    assert both.implementation.name == "IMPLICIT_GEMM + ADD_TENSOR"
    assert both.median_us == pytest.approx(15.357 + 6.627)
    assert [tensor.shape for tensor in biased.chain.weights] == [(16, 64, 1, 1), (16,)]


def test_all_algorithms_of_a_listed_convolution_are_there_in_both_data_types() -> None:
    source = BenanzaSource([TABLES])
    rows = of(source, "Tesla V100-SXM2-16GB", lambda chain: chain.anchor.macs == 9 * 64 * 64 * 56 * 56)
    single = {record.dtype: record for record in rows if len(record.chain.weights) == 1}
    assert {"WINOGRAD", "WINOGRAD_NONFUSED", "GEMM", "FFT"} <= {
        timing.implementation.name for timing in single[DataType.FP32].timings
    }
    assert {timing.implementation.math for timing in single[DataType.FP16].timings} == {"fp16"}
    fused = [record for record in rows if record.chain.is_fused]
    assert {record.chain.title for record in fused} == {"convolution + relu"}


def test_an_average_never_counts_as_a_maximum() -> None:
    pooled = [
        (record.chain.title, timing.implementation.name)
        for record in BenanzaSource([TABLES]).records()
        if record.chain.anchor.kind is LayerKind.POOLING
        for timing in record.timings
    ]
    assert {title for title, _ in pooled} == {"average", "max"}
    assert all((title == "average") == ("AVERAGE" in name) for title, name in pooled)


def test_a_call_timed_in_runs_of_two_batches_is_two_rows() -> None:
    # AlexNet's layers behind the reshape lose their batch in Benanza: the run of batch 2 timed one sample again.
    rows = of(BenanzaSource([TABLES]), "TITAN Xp", lambda chain: chain.inputs[0].shape == (1, 4096))
    relu = next(record for record in rows if record.chain.title == "relu")
    names = {timing.implementation.name for timing in relu.timings}
    assert any(name.endswith(", run of batch 2") for name in names)
    assert any(not name.endswith(", run of batch 2") for name in names)


def test_neither_the_order_of_rows_nor_the_name_of_the_gpu_matters(tables: Path) -> None:
    for name in ("kernels", "kernel_times", "conv_algos"):
        rows = read(tables, name)
        random.shuffle(rows)
        for row in rows:
            if "gpu" in row:
                row["gpu"] = row["gpu"].replace("TITAN_Xp", "Some_Other GPU")
        rewrite(tables, name, rows)
    other = {(gpu.replace("Some Other GPU", "TITAN Xp"), *rest): us for (gpu, *rest), us in times_of(tables)}
    assert other == dict(times_of(TABLES))


def times_of(folder: Path) -> list[tuple[tuple[str, ...], float | None]]:
    return list(times(BenanzaSource([folder])).items())


def test_of_two_times_of_one_call_the_faster_counts(tables: Path) -> None:
    rows = read(tables, "kernel_times")
    rows.append({**rows[0], "real_ns": "1"})
    rewrite(tables, "kernel_times", rows)
    assert 0.001 in times(BenanzaSource([tables])).values()


def test_packed_tables_and_several_files_of_one_table_are_read_alike(tables: Path) -> None:
    rows = read(tables, "kernel_times")
    rewrite(tables, "kernel_times", rows[::2])
    shutil.copy(tables / "benanza_kernel_times.csv", tables / "benanza_more.csv")
    rewrite(tables, "more", rows[1::2])
    plain = tables / "benanza_kernels.csv"
    (tables / "benanza_kernels.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert times(BenanzaSource(sorted(tables.iterdir())[1:])) == times(BenanzaSource([TABLES]))


def test_a_time_of_few_launches_makes_no_bound_and_one_of_zero_is_a_failure(tables: Path) -> None:
    change(tables, "kernel_times", "iterations", "9")
    change(tables, "kernel_times", "real_ns", "0", line=3)
    kept: list[Timing] = [timing for record in BenanzaSource([tables]).records() for timing in record.timings]
    few = [timing for timing in kept if timing.status is Status.UNSTABLE]
    failed = [timing for timing in kept if timing.status is Status.FAILED]
    assert few
    assert all("the mean of 9 launches" in timing.reason and timing.median_us for timing in few)
    assert failed
    assert all(timing.median_us is None for timing in failed)


def test_importing_twice_changes_nothing_and_the_database_is_sound(tmp_path: Path) -> None:
    source = BenanzaSource([TABLES])
    with Store.open(str(tmp_path / "rows.sqlite")) as store:
        first, second = merge(store, source), merge(store, source)
        assert first.added > 400
        assert (second.added, second.replaced, second.kept) == (0, 0, first.added)
        assert problems(store) == ()
        assert {record.chain.digest for record in StoreSource(store).records()} == {
            chain for chain, _ in source.chains()
        }


def test_an_interrupted_import_is_completed_by_the_next(tmp_path: Path) -> None:
    class Interrupted(BenanzaSource):
        def records(self):
            for number, record in enumerate(super().records()):
                if number == 50:
                    raise KeyboardInterrupt
                yield record

    with Store.open(str(tmp_path / "rows.sqlite")) as store:
        with pytest.raises(KeyboardInterrupt):
            merge(store, Interrupted([TABLES]))
        assert problems(store) == ()
        merge(store, BenanzaSource([TABLES]))
        assert len(list(StoreSource(store).records())) == len(list(BenanzaSource([TABLES]).records()))


BAD_VALUES = [
    ("kernels", "algo", "CUDNN_CONVOLUTION_FWD_ALGO_MAGIC", "algo is 'CUDNN_CONVOLUTION_FWD_ALGO_MAGIC', expected an"),
    ("kernels", "op", "CUDNN_TELEPORT_FWD", "op is 'CUDNN_TELEPORT_FWD'"),
    ("kernels", "dtype", "FLOAT7", "dtype is 'FLOAT7', expected one of FLOAT32"),
    ("kernels", "C", "0", "expected sizes of at least 1"),
    ("kernels", "H", "2.5", "H is '2.5', expected a whole number"),
    ("kernels", "N", "99999999999", "N is '99999999999'"),
    ("kernel_times", "real_ns", "-5", "real_ns is '-5', expected a time"),
    ("kernel_times", "real_ns", "nan", "real_ns is 'nan', expected a number"),
    ("kernel_times", "unit", "us", "unit is 'us', expected ns"),
    ("kernel_times", "kernel_id", "123456", "kernel_id is '123456'"),
    ("kernel_times", "advised_algo", "42", "advised_algo is '42'"),
    ("kernel_times", "gpu", "\x1b[31mred", "expected a name"),
    ("kernel_times", "gpu", "", "expected a name"),
    ("kernel_times", "batch", "0", "batch is '0'"),
    ("conv_algos", "group", "7", "group is '7', expected a divisor"),
    ("conv_algos", "stride_h", "0", "stride_h is '0'"),
    ("conv_algos", "R", "4000", "expected a window that fits"),
    ("conv_algos", "real_ns", "-1", "real_ns is '-1'"),
]


@pytest.mark.parametrize(("table", "column", "value", "said"), BAD_VALUES)
def test_a_value_that_does_not_fit_is_named_with_its_line(
    tables: Path, table: str, column: str, value: str, said: str
) -> None:
    operations = [row.get("op", "") for row in read(tables, table)]
    line = operations.index("CUDNN_CONV_FWD") + 2 if table == "kernels" else 2
    change(tables, table, column, value, line)
    with pytest.raises(ModelError) as caught:
        BenanzaSource([tables])
    assert f"benanza_{table}.csv, line {line}: " in str(caught.value)
    assert said in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_table_that_is_cut_off_is_refused(tables: Path) -> None:
    file = tables / "benanza_kernel_times.csv"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ModelError, match=r"line 297 has \d+ of 14 values: the table is cut off"):
        BenanzaSource([tables])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: gzip.compress(data)[:-100], "is cut off: fetch the table again"),
        (lambda data: gzip.compress(data)[:40] + b"\0" * 400, "is damaged|is cut off"),
        (lambda data: b"\xff\xfe" + data, "is not text"),
        (lambda data: b"", "is none of Benanza's tables"),
        (lambda data: data.replace(b"real_ns", b"guess"), "the nearest, it lacks real_ns"),
        (lambda data: data.replace(b"cpu_ns", b"real_ns"), "has a column twice"),
        (lambda data: data.split(b"\n", 1)[0] + b"\n", "no rows of Benanza's table 'kernel_times'"),
    ],
)
def test_a_file_that_is_no_whole_table_is_refused(tables: Path, spoil: Callable[[bytes], bytes], said: str) -> None:
    file = tables / "benanza_kernel_times.csv"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(ModelError, match=said):
        BenanzaSource([tables])


def test_a_missing_table_a_missing_file_and_a_foreign_folder_are_named(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no rows of Benanza's table 'kernels'"):
        BenanzaSource([tables / "benanza_kernel_times.csv"])
    with pytest.raises(ModelError, match=r"cannot read .*nowhere\.csv"):
        BenanzaSource([tmp_path / "nowhere.csv"])
    with pytest.raises(ModelError, match="holds no benanza_"):
        BenanzaSource([tmp_path])


def test_a_bomb_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headroom.store.benanza.table._MOST_BYTES", 2**20)
    bomb = tmp_path / "benanza_bomb.csv.gz"
    bomb.write_bytes(gzip.compress(b"0" * 2**22))
    with pytest.raises(ModelError, match="holds more than 1 MiB"):
        BenanzaSource([bomb])


def test_what_to_import_is_one_export_or_a_name_and_its_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tables after 'benanza'"):
        source_of([Path("benanza")])
    with pytest.raises(UsageError, match="2 files to import"):
        source_of([tmp_path / "a.json", tmp_path / "b.json"])
    assert isinstance(source_of([Path("benanza"), TABLES]), BenanzaSource)
