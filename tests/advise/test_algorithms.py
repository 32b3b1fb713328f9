"""What was picked, what is best, and what a setting recovers, layer by layer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import H200, conv, graph, layer, relu, tensor, timed
from executions import Scene
from headroom.advise.bounds import lower_bounds
from headroom.advise.case import Case
from headroom.advise.questions.algorithms import algorithms
from headroom.advise.questions.answer import Table
from headroom.advise.same_kernels import implementation_of, own_name
from headroom.advise.timed import TimedGraph
from headroom.graph.chain import Chain
from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Matmul, Movement, Pooling
from headroom.measure.profiles.profile import Launch, LaunchKind
from headroom.store.rows import Implementation, Kernel, Timing
from measured_rows import Rows, row

CONV = conv("c", "x", module="stem")
MODEL = graph(CONV, relu("r", "c"))
MANGLED = "_ZN7cutlass7Kernel2I21cutlass_80_gemm_64x64EEvNT_6ParamsE"
READABLE = "void cutlass::Kernel2<cutlass_80_gemm_64x64>(cutlass_80_gemm_64x64::Params)"


def kernel(name: str, ctas: int = 528) -> Kernel:
    return Kernel(name, (ctas, 1, 1), (128, 1, 1))


def torch_row(time_us: float, layout: str, *, benchmark: bool = False, kernels: tuple[Kernel, ...] = ()) -> Timing:
    name = "conv2d benchmark" if benchmark else "conv2d"
    return row(time_us, implementation=Implementation("torch", name, layout), kernels=kernels)


ROWS = (
    row(10.0),
    torch_row(20.0, "nhwc", kernels=(kernel("fast"),)),
    torch_row(36.0, "nchw", benchmark=True, kernels=(kernel("tried"),)),
    torch_row(40.0, "nchw", kernels=(kernel("nchwToNhwcKernel"), kernel(MANGLED))),
)


def rows_of(*tried: Timing, anchor: Layer = CONV) -> Rows:
    return Rows(others_tried={Chain.of([anchor]).digest: tried})


def unrecorded(*tried: Timing, model: Graph = MODEL) -> Case:
    model_timed = timed(model, *[10.0 for _ in model.configurations])
    return Case(model_timed, lower_bounds(model_timed), rows_of(*tried))


def ran(scale: float = 1.0) -> Scene:
    """The convolution by PyTorch's default in NCHW, in a run that the GPU holds up."""
    built = Scene(MODEL, host_us=1.0)
    built.run("c", (READABLE, 30.0 * scale)).inside("transpose", "c", ("void nchwToNhwcKernel<float>()", 10.0 * scale))
    return built.run("r", ("relu", 10.0))


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (MANGLED, "cutlass_80_gemm_64x64"),
        (READABLE, "cutlass_80_gemm_64x64"),
        ("nvjet_sm90_tst_64x8_64x16_2x4_h_bz_TNT", "nvjet_sm90_tst_64x8_64x16_2x4_h_bz_TNT"),
        ("_Z33convolve_common_engine_float_NHWCIffLi1024EEvi", "convolve_common_engine_float_NHWC"),
        ("void convolve_common_engine_float_NHWC<float, float, 1024>(int)", "convolve_common_engine_float_NHWC"),
        ("_ZN5cudnn19engines_precompiled16nhwcToNchwKernelIfffLb1EEEv", "nhwcToNchwKernel"),
        ("void cudnn::engines_precompiled::nhwcToNchwKernel<float, float>(float)", "nhwcToNchwKernel"),
        ("void at::native::(anonymous namespace)::max_pool_forward_nchw<float>(int)", "max_pool_forward_nchw"),
        ("void cublasLt::splitKreduce_kernel<32, 16, int>(int)", "splitKreduce_kernel"),
    ],
)
def test_a_kernel_has_one_name_however_it_is_written(name: str, own: str) -> None:
    assert own_name(name) == own


def launch(name: str, ctas: int) -> Launch:
    return Launch(name, LaunchKind.KERNEL, 0.0, 1.0, 7, grid=(ctas, 1, 1))


def test_plans_that_share_a_kernel_are_told_apart_by_its_grid() -> None:
    rows = [torch_row(time_us, "nchw", kernels=(kernel(MANGLED, ctas),)) for time_us, ctas in ((5.0, 64), (6.0, 128))]
    assert implementation_of([launch(READABLE, 128)], rows) is rows[1]
    assert implementation_of([launch(READABLE, 99)], rows) is rows[0]
    assert implementation_of([launch("other", 128)], rows) is None


def test_a_product_is_recognised_whatever_the_order_of_its_weight() -> None:
    found = row(5.0, kernels=(kernel("nvjet_64x8_h_bz_bias_NNT"), kernel("memset")))
    assert implementation_of([launch("nvjet_64x8_h_bz_TNT", 528)], [found]) is found


def test_the_pick_of_a_run_is_the_plan_with_its_kernels_and_the_loss_is_what_the_best_saves() -> None:
    answer = algorithms(ran().case(measurements=rows_of(*ROWS)))
    layer = answer.tables[1].rows[0]
    assert layer[:3] == ("c", "stem", "torch conv2d, nchw")
    assert layer[3:7] == (pytest.approx(40.0), "cudnn eng22_k2=5_k13=1, nhwc", pytest.approx(10.0), pytest.approx(30.0))
    assert "1 of 1" in answer.sentence


def test_what_a_run_lengthens_for_all_plans_is_no_loss() -> None:
    answer = algorithms(ran(scale=1.5).case(measurements=rows_of(*ROWS)))
    assert answer.tables[1].rows[0][5] == pytest.approx(15.0)


def test_each_setting_recovers_what_its_rows_say() -> None:
    answer = algorithms(ran().case(measurements=rows_of(*ROWS)))
    by_code = {finding.code: finding for finding in answer.findings if finding.kind == "algorithm_setting"}
    benchmark = next(finding for code, finding in by_code.items() if "benchmark_limit = 0" in code)
    channels_last = next(finding for code, finding in by_code.items() if "channels_last" in code)
    assert benchmark.saves_us == pytest.approx(4.0, abs=1.5)
    assert channels_last.saves_us == pytest.approx(20.0, abs=2.0)
    assert channels_last.layers == ("c",)
    assert channels_last.modules == ("stem",)


def test_without_a_profile_pytorch_s_default_is_what_ran() -> None:
    answer = algorithms(unrecorded(*ROWS))
    assert "--profile" in answer.needs
    totals = {name: time_us for name, time_us, _ in answer.tables[0].rows}
    assert totals["cudnn.benchmark"] == pytest.approx(36.0)
    assert totals["channels_last"] == pytest.approx(20.0)


def test_a_search_that_keeps_a_slower_plan_is_a_loss_as_its_row_says() -> None:
    misled = [*ROWS[:2], torch_row(55.0, "nchw", benchmark=True), ROWS[3]]
    totals = {name: time_us for name, time_us, _ in algorithms(unrecorded(*misled)).tables[0].rows}
    assert totals["cudnn.benchmark"] == pytest.approx(55.0)


def test_channels_last_is_not_advised_where_pooling_loses_more_than_convolutions_gain() -> None:
    work = Pooling("max", 64 * 28 * 28, (3, 3), (2, 2))
    pools = [replace(relu(f"p{i}", "c" if i == 0 else f"p{i - 1}"), work=work) for i in range(2)]
    case = unrecorded(*ROWS, model=graph(CONV, *pools))
    advised = [finding.title for finding in algorithms(case).findings]
    assert not any("channels_last" in title for title in advised)


@pytest.mark.parametrize(("kernel_us", "longer"), [(12.0, True), (60.0, False)])
def test_a_gain_of_fewer_launches_alone_is_not_promised_to_a_cuda_graph(kernel_us: float, longer: bool) -> None:
    pool, convolution = relu("p", "x"), conv("c", "p", module="stem")
    pool = replace(pool, work=Pooling("max", 64 * 28 * 28, (3, 3), (2, 2)))
    now = torch_row(kernel_us + 2.0, "nchw", kernels=(kernel("nchwToNhwcKernel"), kernel(MANGLED)))
    rows = rows_of(row(9.0), torch_row(10.0, "nhwc", kernels=(kernel("fast"),)), now, anchor=convolution)
    built = Scene(graph(pool, convolution, relu("r", "c")), host_us=100.0).run("p", ("max_pool", 4.0))
    built = built.run("c", (READABLE, kernel_us)).inside(
        "transpose", "c", *[("void nchwToNhwcKernel<float>()", 1.0)] * 2
    )
    case = built.run("r", ("relu", 4.0)).case(measurements=rows)
    (finding,) = algorithms(case).findings
    assert ("longer than without this change" in finding.limits) is longer
    assert ("gain shows only in a CUDA graph" in finding.limits) is not longer


def test_a_loss_beside_a_host_that_is_behind_saves_nothing() -> None:
    built = Scene(MODEL, host_us=500.0).run("c", (READABLE, 40.0)).run("r", ("relu", 10.0))
    answer = algorithms(built.case(measurements=rows_of(*ROWS)))
    assert all(finding.saves_us < 35.0 for finding in answer.findings)
    assert answer.tables[1].rows[0][6] > 0


def test_where_tf32_is_allowed_its_rows_are_pytorch_s_choice_even_if_fp32_is_faster() -> None:
    slower = replace(torch_row(50.0, "nchw"), implementation=Implementation("torch", "conv2d", "nchw", "tf32"))
    model = TimedGraph(MODEL, H200, DataType.TF32, "warm", timed(MODEL, 10.0, 10.0).predictions)
    case = Case(model, lower_bounds(model), rows_of(*ROWS, slower))
    assert algorithms(case).tables[0].rows[0][1] == pytest.approx(50.0)


def test_without_rows_the_answer_says_how_to_get_them() -> None:
    answer = algorithms(unrecorded())
    assert "headroom measure" in answer.needs
    assert not answer.findings


def settings_of(case: Case) -> list[tuple[str, str]]:
    return [(each.title, each.code) for each in algorithms(case).findings if each.kind == "algorithm_setting"]


def test_a_model_that_permutes_before_its_convolutions_is_offered_no_layout() -> None:
    permute = Movement("transpose", 64 * 56 * 56, axes=(0, 3, 1, 2))
    model = graph(layer("p", permute, ["x"]), replace(CONV, inputs=(tensor("p"),)), relu("r", "c"))
    titles = [title for title, _ in settings_of(unrecorded(*ROWS, model=model))]
    assert titles == ["1 convolution faster with cudnn.benchmark"]


def test_a_setting_is_named_by_what_it_changes_of_the_run() -> None:
    rows = (row(5.0), torch_row(20.0, "nhwc"), torch_row(10.0, "nhwc", benchmark=True), torch_row(40.0, "nchw"))
    built = Scene(MODEL, host_us=1.0).run("c", ("max_pool_forward_nhwc", 20.0)).run("r", ("relu", 10.0))
    ((title, code),) = settings_of(built.case(measurements=rows_of(*rows)))
    assert title == "1 convolution faster with cudnn.benchmark"
    assert "memory_format" not in code


def test_a_setting_by_which_no_convolution_gains_is_no_finding() -> None:
    slower = (row(10.0), torch_row(41.0, "nhwc"), torch_row(40.0, "nchw", kernels=ROWS[3].kernels))
    assert not settings_of(ran().case(measurements=rows_of(*slower)))
    assert not settings_of(unrecorded(*slower))


def test_a_copy_that_pytorch_makes_before_a_convolution_is_no_gain_of_another_plan() -> None:
    rows = (row(5.0), torch_row(40.0, "nchw"), torch_row(36.0, "nchw", benchmark=True, kernels=(kernel("one"),)))
    built = Scene(MODEL, host_us=1.0).run("c", ("max_pool_forward_nchw", 40.0))
    case = built.inside("copy", "c", ("copy", 50.0)).run("r", ("relu", 10.0)).case(measurements=rows_of(*rows))
    (finding,) = [each for each in algorithms(case).findings if each.kind == "algorithm_setting"]
    assert finding.saves_us == pytest.approx(4.0, abs=1.0)


def out_of_reach(case: Case) -> Table | None:
    return next((table for table in algorithms(case).tables if table.title.startswith("Faster plans")), None)


def test_a_plan_that_pytorch_cannot_be_told_is_shown_and_promised_by_no_finding() -> None:
    case = unrecorded(*ROWS)
    table = out_of_reach(case)
    assert table is not None
    assert table.rows == (("c", 40.0, 20.0, "cudnn eng22_k2=5_k13=1, nhwc", 10.0),)
    assert "cannot be told" in table.note
    findings = algorithms(case).findings
    assert {finding.kind for finding in findings} == {"algorithm_setting"}
    assert not any("torch.compile" in finding.code for finding in findings)


def test_a_fastest_implementation_that_is_a_setting_of_pytorch_s_is_no_plan_out_of_reach() -> None:
    assert out_of_reach(unrecorded(*ROWS[1:])) is None


def test_products_in_strict_fp32_are_told_of_tf32_where_that_is_asked_about() -> None:
    product = layer("c", Matmul(128, 768, 768), ["x"])
    model = graph(product)
    tf32 = row(10.0, implementation=Implementation("torch", "linear", "", "tf32"))
    asked = replace(timed(model, 10.0), dtype=DataType.TF32)
    strict = Scene(model, host_us=1.0).run("c", ("void sgemm_128x64_tn(float)", 100.0))
    narrow = Scene(model, host_us=1.0).run("c", ("sm80_xmma_gemm_f32f32_tf32f32_f32_tn_n", 100.0))
    rows = rows_of(tf32, anchor=product)
    (finding,) = algorithms(strict.case(asked, measurements=rows)).findings
    assert finding.saves_us == pytest.approx(90.0, rel=0.1)
    assert finding.code == 'torch.set_float32_matmul_precision("high")'
    assert not algorithms(narrow.case(asked, measurements=rows)).findings
