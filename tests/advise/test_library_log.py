"""What the libraries logged beside what the model asks for: calls, their sizes, and their order."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import headroom as hr
from advise.matched import graph_of
from builders import conv, graph, layer, matmul, relu
from executions import Scene
from headroom.advise.case import Case
from headroom.advise.questions.answer import Table
from headroom.advise.questions.framework import framework
from headroom.graph.work import Attention, Convolution
from headroom.measure.profiles.library_logs import LibraryCall, read_library_log
from library_logs import executions, gemms, lt_gemms, plans, write
from profiles import FOLDER

MODEL = graph(conv("a", "x", channels=32), relu("b", "a"), conv("c", "b", channels=64), matmul("d", "c", 8, 24, 16))
A = ((1, 32, 56, 56), (32, 32, 3, 3), (1, 32, 56, 56))
C = ((1, 64, 56, 56), (64, 64, 3, 3), (1, 64, 56, 56))
POINTWISE = Convolution(1, 64, 64, (56, 56), (56, 56), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))
TOTALS, DEVIATING = "Calls of cuDNN and cuBLAS by their own logs", "Logged calls that differ from the model"


def calls(folder: Path, **logs: str) -> tuple[LibraryCall, ...]:
    write(folder, **logs)
    return tuple(call for name in logs for call in read_library_log(folder / f"{name}.log"))


def case(logged: tuple[LibraryCall, ...], kernel: str = "cudnn_kernel", model: hr.Graph = MODEL) -> Case:
    built = Scene(model, host_us=1.0)
    for each in model.layers:
        built.run(each.name, (f"{kernel}_{each.name}", 30.0))
    found = built.case()
    assert found.execution is not None
    profile = replace(found.execution.profile, library_calls=logged)
    return replace(found, execution=replace(found.execution, profile=profile))


def tables(found: Case) -> dict[str, Table]:
    return {table.title: table for table in framework(found).tables}


def test_a_run_as_the_model_asks_for_it_deviates_nowhere(tmp_path: Path) -> None:
    logged = calls(tmp_path, cudnn=plans(*A, *C) + executions(6), cublas=gemms(*[(24, 8, 16)] * 3))
    found = tables(case(logged))
    assert found[TOTALS].rows == (("cuDNN", 2, 2, 0), ("cuBLAS", 1, 1, 0))
    assert DEVIATING not in found
    sentence = framework(case(logged)).sentence
    told = "By their own logs cuDNN executed 2 of 2 and cuBLAS executed 1 of 1 expected calls, with no deviation."
    assert sentence.endswith(told)


def test_without_logs_there_is_no_such_table() -> None:
    assert TOTALS not in tables(case(()))


def test_a_padded_input_is_named_with_its_layer(tmp_path: Path) -> None:
    padded = ((1, 64, 58, 58), *C[1:])
    logged = calls(tmp_path, cudnn=plans(*A, *padded) + executions(4), cublas=gemms(*[(24, 8, 16)] * 2))
    model = graph(*MODEL.layers[:2], _without_its_own_input(MODEL.layers[2]), MODEL.layers[3])
    found = case(logged, model=model)
    assert framework(found).sentence.endswith("expected calls, with 1 deviation.")
    (row,) = tables(found)[DEVIATING].rows
    assert row == ("c", "cuDNN", "input", "64x57x57", "64x58x58")


def _without_its_own_input(convolution: hr.Layer) -> hr.Layer:
    """With an input of a size that no other tensor has."""
    assert isinstance(convolution.work, Convolution)
    return replace(convolution, work=replace(convolution.work, in_size=(57, 57)))


def test_a_convolution_that_other_code_ran_is_not_called(tmp_path: Path) -> None:
    logged = calls(tmp_path, cudnn=plans(*C) + executions(2), cublas=gemms(*[(24, 8, 16)] * 2))
    found = tables(case(logged, kernel="void at::native::conv_depthwise2d_forward"))
    assert found[TOTALS].rows[0] == ("cuDNN", 2, 1, 1)
    (row,) = found[DEVIATING].rows
    assert row[:3] == ("a", "cuDNN", "not called")
    assert "conv_depthwise2d" in str(row[4])


def test_products_of_other_sizes_and_repeated_ones_are_named(tmp_path: Path) -> None:
    model = graph(matmul("d", "x", 8, 24, 16), matmul("e", "d", 32, 48, 64), matmul("f", "e", 5, 6, 7))
    inference = [(24, 8, 16), (24, 8, 16), (48, 40, 64), (6, 5, 7)]
    found = tables(case(calls(tmp_path, cublas=gemms(*inference * 2)), model=model))
    assert found[TOTALS].rows[1] == ("cuBLAS", 3, 4, 3)
    assert found[DEVIATING].rows == (
        ("d", "cuBLAS", "called more often", 1, 2),
        ("e", "cuBLAS", "not called", "32x48x64", None),
        (None, "cuBLAS", "no layer asks for it", None, "1 x 40x48x64"),
    )


def test_what_cublas_hands_to_cublaslt_counts_once(tmp_path: Path) -> None:
    twice = [(24, 8, 16)] * 2
    logged = calls(tmp_path, cudnn=plans(*A, *C) + executions(4), cublas=gemms(*twice), cublaslt=lt_gemms(*twice))
    assert tables(case(logged))[TOTALS].rows == (("cuDNN", 2, 2, 0), ("cuBLAS", 1, 1, 0))


def test_convolutions_that_cudnn_leaves_to_cublas_are_no_deviation(tmp_path: Path) -> None:
    pointwise = replace(conv("p", "x", channels=64), work=POINTWISE)
    model = graph(pointwise, matmul("d", "p", 8, 24, 16))
    filters = ((1, 64, 56, 56), (64, 64, 1, 1), (1, 64, 56, 56))
    logged = calls(
        tmp_path, cudnn=plans(*filters) + executions(3), cublaslt=lt_gemms(*[(3136, 64, 64), (24, 8, 16)] * 3)
    )
    found = tables(case(logged, model=model))
    assert found[TOTALS].rows == (("cuDNN", 1, 1, 0), ("cuBLAS", 1, 1, 0))
    assert framework(case(logged, model=model)).sentence.endswith("cuDNN had cuBLAS compute 1 convolution as products.")


def test_attention_that_was_composed_shows_as_products(tmp_path: Path) -> None:
    work = Attention(1, 1, 40, 40, 16, 16, 1)
    model = graph(layer("s", work, ["x"]), matmul("d", "s", 8, 24, 16))
    logged = calls(tmp_path, cublas=gemms(*[(40, 40, 16), (24, 8, 16)] * 2))
    (row,) = tables(case(logged, model=model))[DEVIATING].rows
    assert row == ("s", "cuBLAS", "a product of attention, which one kernel could do", None, "1 x 16x40x40")


def test_layers_that_were_called_in_another_order_are_named(tmp_path: Path) -> None:
    model = graph(*MODEL.layers, matmul("e", "d", 32, 48, 64))
    logged = calls(tmp_path, cudnn=plans(*C, *A) + executions(4), cublas=gemms(*[(48, 32, 64), (24, 8, 16)] * 2))
    rows = tables(case(logged, model=model))[DEVIATING].rows
    assert rows == (("a", "cuDNN", "order", "before c", "after c"), ("d", "cuBLAS", "order", "before e", "after e"))


def test_the_logs_beside_a_trace_are_read_with_it(tmp_path: Path, shared_models: Path) -> None:
    trace = tmp_path / "run.trace.json.gz"
    shutil.copy(FOLDER / "resnet18-1-default.json.gz", trace)
    model = graph_of(shared_models, "resnet18-1-default")
    tensors = [
        dims
        for each in model.layers
        if isinstance(work := each.work, Convolution)
        for dims in (
            (1, work.in_channels, *work.in_size),
            (work.out_channels, work.in_channels, *work.kernel),
            (1, work.out_channels, *work.out_size),
        )
    ]
    write(tmp_path / "run.trace.logs", cudnn=plans(*tensors) + executions(2 * 20), cublaslt="no log at all")
    write(tmp_path / "run.trace.logs", cublas=gemms(*[(1000, 1, 512)] * 2))
    analysis = hr.analyze(model, "h200", profile=trace)
    assert analysis.execution is not None
    answer = next(each for each in analysis.questions if each.number == 4)
    (totals,) = [table for table in answer.tables if table.title == TOTALS]
    assert totals.rows == (("cuDNN", 20, 20, 0), ("cuBLAS", 1, 1, 0))
    assert any("tells of no call of cuDNN or cuBLAS" in note for note in analysis.execution.profile.notes)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_how_many_inferences_were_logged_does_not_matter(number: int, tmp_path: Path) -> None:
    logged = calls(tmp_path, cudnn=plans(*A, *C) + executions(2 * number), cublas=gemms(*[(24, 8, 16)] * number))
    assert tables(case(logged))[TOTALS].rows == (("cuDNN", 2, 2, 0), ("cuBLAS", 1, 1, 0))
