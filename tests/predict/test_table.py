"""Bulk prediction of CSV tables."""

from __future__ import annotations

import contextlib
import csv
import io
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import layer, tensor
from headroom.errors import ModelError, UsageError
from headroom.gpu.sheets import load_gpu
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Matmul
from headroom.predict.model import predict_layers
from headroom.predict.table import csv_chunks, explain_row, predict_csv, predict_table
from headroom.predict.table_text import OUTPUT_COLUMNS

H200, V100 = load_gpu("h200"), load_gpu("v100-pcie-32gb")

CONV = {"op": "conv2d", "n": 8, "c": 64, "h": 56, "w": 56, "k": 128, "r": 3, "s": 3, "padding": 1}
MATMUL = {"op": "matmul", "m": 512, "n": 1024, "k": 768}


def written(rows: list[dict[str, object]], gpu=V100, **options: str) -> list[dict[str, str]]:
    """The answer as a reader of the file sees it."""
    text = "".join(csv_chunks(predict_table(rows, gpu, **options)))
    return list(csv.DictReader(io.StringIO(text)))


def table_file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "layers.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


sizes = st.integers(1, 70)
rows_of_any_sort = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.just("conv2d"), "direction": st.sampled_from(["forward", "dgrad", "wgrad"]), "n": sizes,
            "c": sizes.map(lambda x: 4 * x), "h": st.integers(7, 64), "w": st.integers(7, 64),
            "k": sizes.map(lambda x: 4 * x), "r": st.sampled_from([1, 3, 7]), "s": st.sampled_from([1, 3, 7]),
            "stride": st.sampled_from([1, 2, "2x1"]), "padding": st.sampled_from([0, 1, "1x3"]),
            "dilation": st.sampled_from([1, ""]), "groups": st.sampled_from([1, 2, 4]),
            "dtype": st.sampled_from(["fp32", "fp16"]), "tile_m": st.sampled_from(["", 128]),
        }
    ).map(lambda row: {**row, "tile_n": 64 if row["tile_m"] else ""}),
    st.fixed_dictionaries(
        {"op": st.just("matmul"), "m": sizes, "n": sizes, "k": sizes, "batch": sizes, "dtype": st.just("fp16")}
    ),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(rows_of_any_sort, min_size=1, max_size=12))
def test_a_row_alone_and_in_a_table_give_the_same_numbers_to_the_last_bit(rows) -> None:
    together = predict_table(rows, V100).answers
    for index, row in enumerate(rows):
        alone = predict_table([row], V100).answers
        for name in vars(alone):
            assert getattr(alone, name)[0] == getattr(together, name)[index], name


def test_the_table_and_the_graph_agree_about_the_same_layer() -> None:
    work = Convolution(8, 64, 128, (56, 56), (56, 56), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    subject = layer(
        "c", work, [tensor("x", 8, 64, 56, 56)], weights=[tensor("w", 128, 64, 3, 3)], shape=(8, 128, 56, 56)
    )
    product = layer(
        "p", Matmul(512, 1024, 768), [tensor("a", 512, 768)], weights=[tensor("b", 768, 1024)], shape=(512, 1024)
    )
    for gpu, dtype in ((V100, DataType.FP32), (H200, DataType.BF16)):
        rows = [{**CONV, "dtype": dtype, "algorithm": "fastest"}, {**MATMUL, "dtype": dtype}]
        table = predict_table(rows, gpu).answers
        for index, answer in enumerate(predict_layers([subject, product], gpu, dtype)):
            assert table.time_us[index] == answer.time_us
            assert table.error_pct[index] == answer.error_pct
            assert table.bottleneck[index] == answer.bottleneck
            assert table.l1_bytes[index] == answer.l1_bytes
            assert table.ctas[index] == answer.ctas
            assert (table.tile_m[index], table.tile_n[index], table.tile_k[index]) == (answer.tile or (0, 0, 0))


def test_every_given_column_is_kept_in_order_and_the_new_ones_follow() -> None:
    rows = [{"note": "first, with a comma", **CONV, "mine": "é"}, {"note": 'say "so"', **MATMUL, "mine": ""}]
    answer = written(rows)
    assert list(answer[0]) == ["note", *CONV, "mine", "m", *OUTPUT_COLUMNS]
    assert [row["note"] for row in answer] == ["first, with a comma", 'say "so"']
    assert answer[0]["mine"] == "é"


def test_given_tiles_are_used_and_empty_ones_filled_in_place() -> None:
    given_tile, chosen = written([{**CONV, "tile_m": 128, "tile_n": 32, "tile_k": 8}, {**CONV, "tile_m": ""}])
    assert (given_tile["tile_m"], given_tile["tile_n"], given_tile["tile_k"]) == ("128", "32", "8")
    assert int(given_tile["ctas"]) == (8 * 56 * 56 // 128) * 4
    assert chosen["tile_n"] in ("64", "128")
    assert list(chosen).count("tile_m") == 1


def test_pairs_may_be_one_number_or_two() -> None:
    one, two, other = written([{**CONV, "stride": s} for s in ("2", "2x2", "2x1")])
    assert one["time_us"] == two["time_us"]
    assert float(other["time_us"]) > float(one["time_us"])


def test_a_layout_means_in_a_table_what_it_means_in_a_model() -> None:
    free, nhwc, nchw = written([{**CONV, "dtype": "bf16", "layout": x} for x in ("", "nhwc", "nchw")], H200)
    assert free["time_us"] == nhwc["time_us"]
    assert float(nchw["time_us"]) > float(nhwc["time_us"])


def test_gradients_and_groups_have_their_own_times() -> None:
    answer = written([{**CONV, "direction": d, "groups": g} for d in ("forward", "dgrad", "wgrad") for g in (1, 2)])
    assert all(float(row["time_us"]) > 0 and not row["error"] for row in answer)
    assert len({row["time_us"] for row in answer}) == 6


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"op": "conv3d"}, "op is 'conv3d': give conv2d or matmul"),
        ({"op": ""}, "op is empty: give conv2d or matmul"),
        ({"n": "eight"}, "n is 'eight': give an integer from 1 to 2147483647"),
        ({"c": "-3"}, "c is '-3': give an integer from 1 to 2147483647"),
        ({"h": "1e3"}, "h is '1e3': give an integer from 1 to 2147483647"),
        ({"k": "99999999999"}, "k is '99999999999': give an integer from 1 to 2147483647"),
        ({"w": ""}, "w is empty: conv2d needs it"),
        ({"r": "nan"}, "r is 'nan': give an integer from 1 to 2147483647"),
        ({"stride": "0"}, "stride is '0': give an integer from 1, or two as HxW"),
        ({"padding": "1x1x1"}, "padding is '1x1x1': give an integer from 0, or two as HxW"),
        ({"groups": "3"}, "groups is 3, which does not divide c of 64"),
        ({"direction": "sideways"}, "direction is 'sideways': give forward, dgrad or wgrad"),
        ({"dtype": "int4"}, "dtype is 'int4': give fp32, tf32, fp16, bf16 or fp8"),
        ({"dtype": "fp8"}, "dtype is 'fp8', which Tesla V100 PCIe 32GB does not multiply: give another"),
        ({"layout": "chwn"}, "layout is 'chwn': give nchw or nhwc"),
        ({"h": "2", "padding": "0"}, "a 3x3 filter does not fit h and w with this padding and dilation"),
        ({"tile_m": "128"}, "tile_m and tile_n go together: give both or neither"),
        ({"n": "2147483647", "c": "2147483647", "k": "2147483647", "h": "100000", "w": "100000"},
         "the layer has more than 1e+22 multiply-adds: check its sizes"),
    ],
)  # fmt: skip
def test_a_bad_row_says_which_value_is_wrong_and_its_neighbours_are_predicted(
    change: dict[str, str], sentence: str
) -> None:
    before, bad, after = written([CONV, {**CONV, **change}, CONV])
    assert bad["error"] == sentence
    assert all(bad[name] == "" for name in OUTPUT_COLUMNS if name != "error" and not name.startswith("tile"))
    assert before["error"] == after["error"] == ""
    assert before["time_us"] == after["time_us"] != ""


def test_a_spreadsheet_s_file_is_read_as_it_is(tmp_path: Path) -> None:
    content = '\ufeffop,n,c,h,w,k,r,s,"no, te"\r\n\r\nconv2d,8,64,56,56,128.0,3,3,"a\r\nb"\r\nmatmul,8\r\n'
    out = tmp_path / "out.csv"
    summary = predict_csv(table_file(tmp_path, content), V100, out)
    assert (summary.rows, summary.bad_rows) == (2, 1)
    with out.open(newline="", encoding="utf-8") as file:
        good, short = csv.DictReader(file)
    assert good["no, te"] == "a\r\nb"
    assert good["k"] == "128.0"
    assert float(good["time_us"]) > 0
    assert short["error"] == "m is empty: matmul needs it"


def test_a_row_with_too_many_cells_is_a_bad_row(tmp_path: Path) -> None:
    table = predict_table(table_file(tmp_path, "op,m,n,k\nmatmul,1,2,3,4\n"), V100)
    assert table.errors == ["the row has 5 cells where the header has 4: check its commas"]
    assert all(line.count(",") == 3 + len(OUTPUT_COLUMNS) for line in "".join(csv_chunks(table)).splitlines()[:1])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty: give a header line with at least the column op, then one layer per row"),
        (b"\xff\xfeo\x00p\x00", "is not UTF-8 text (byte 0): save the table as UTF-8 CSV"),
        (b"n,c\n1,2\n", "has no column op: add one that says conv2d or matmul in every row"),
        (b"op,n,n\nmatmul,1,2\n", "has the column 'n' twice: rename or remove one"),
        (b"op,time_us\nmatmul,1\n", "has a column 'time_us', which the answer would overwrite: rename it"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_and_nothing_is_written(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(ModelError, match=r"^[^\n]*$") as error:
        predict_csv(table_file(tmp_path, content), V100, out)
    assert str(error.value).endswith(sentence)
    assert not out.exists()


def test_a_missing_table_and_an_unwritable_answer_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        predict_csv(tmp_path / "absent.csv", V100, tmp_path / "out.csv")
    with pytest.raises(UsageError, match="cannot write"):
        predict_csv(table_file(tmp_path, "op,m,n,k\nmatmul,1,2,3\n"), V100, tmp_path / "absent" / "out.csv")


def test_a_table_with_a_header_only_gives_a_header_only(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    summary = predict_csv(table_file(tmp_path, "op,m,n,k\n"), V100, out)
    assert (summary.rows, summary.bad_rows) == (0, 0)
    assert out.read_text() == ",".join(["op", "m", "n", "k", *OUTPUT_COLUMNS]) + "\n"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_an_answer_or_a_model_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("table")
    with contextlib.suppress(ModelError):
        summary = predict_csv(table_file(folder, b"op,m,n,k,stride,dtype\n" + content), V100, folder / "out.csv")
        assert 0 <= summary.bad_rows <= summary.rows


def test_a_row_is_explained_term_by_term() -> None:
    table = predict_table([CONV, MATMUL, {**CONV, "n": "x"}, {**CONV, "direction": "wgrad"}], V100)
    lines = explain_row(table, 0, V100)
    assert lines[0].startswith("row 1: conv2d forward, n 8, c 64, 56x56, k 128, 3x3")
    assert any("T_L2" in line and "eq. 9" in line for line in lines)
    assert lines[-1].strip().startswith("calibrated: ")
    assert explain_row(table, 1, V100)[0].startswith("row 2: matmul (512x768)(768x1024), batch 1")
    assert explain_row(table, 2, V100) == ["row 3: n is 'x': give an integer from 1 to 2147483647"]
    assert len(explain_row(table, 3, V100)) > 20


@pytest.mark.alone
@pytest.mark.parametrize(("gpu", "dtype"), [(V100, "fp32"), (H200, "bf16")], ids=["plain", "tensor"])
def test_a_hundred_thousand_convolutions_take_less_than_two_seconds(tmp_path: Path, gpu, dtype: str) -> None:
    random = np.random.default_rng(7)
    columns = [random.integers(low, high, 100_000) for low, high in ((1, 65), (1, 1024), (7, 225), (1, 1024), (1, 3))]
    lines = [f"conv2d,{n},{c},{h},{h},{k},3,3,{stride},1,{dtype}" for n, c, h, k, stride in zip(*columns, strict=True)]
    source = table_file(tmp_path, "op,n,c,h,w,k,r,s,stride,padding,dtype\n" + "\n".join(lines) + "\n")
    start = time.process_time()
    table = predict_table(source, gpu)
    assert time.process_time() - start < 2.0
    assert table.summary.bad_rows == 0
    assert (table.answers.time_us > 0).all()


def test_a_file_without_an_end_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headroom.predict.table_read.LARGEST_TABLE_BYTES", 1 << 20)
    with pytest.raises(ModelError, match=r"^/dev/zero is larger than 1 MiB: split the table$"):
        predict_table(Path("/dev/zero"), load_gpu("h200"))


def test_another_separator_is_named(tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    path.write_text("op;n;c\nconv2d;1;2\n")
    with pytest.raises(ModelError, match="does not separate its columns by commas"):
        predict_table(path, load_gpu("h200"))


def test_a_tile_that_no_sm_could_hold_is_a_bad_row_and_the_others_are_answered() -> None:
    rows = [{**MATMUL, "tile_m": m, "tile_n": m, "tile_k": k} for m, k in ((128, 8), (512, 8), (128, 4096))]
    table = predict_table(rows, V100)
    assert table.errors[0] == ""
    assert table.answers.time_us[0] > 0
    assert "holds 262144 results" in table.errors[1]
    assert "bytes of shared memory: give a smaller one" in table.errors[2]
    assert table.summary.bad_rows == 2
    assert table.answers.time_us[1:].tolist() == [0.0, 0.0]
