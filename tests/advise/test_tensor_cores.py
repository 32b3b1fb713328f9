"""Question 6: where products run, what other data types give, and the widths that stand in the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advise.cases import case_of
from advise.test_other_dtypes import PerType
from builders import H200, conv, graph, matmul, relu
from headroom.advise.kernel_names import Unit
from headroom.advise.products import products
from headroom.advise.questions.answer import Table
from headroom.advise.questions.tensor_cores import tensor_cores
from headroom.advise.type_gains import type_gains
from headroom.advise.widths import misaligned, rounded
from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType
from headroom.graph.work import Convolution, Matmul
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Source
from headroom.store.rows import Counters, Kernel, Timing
from measured_rows import PLAN, Rows, row, timings

TENSOR, SIMT = "nvjet_sm90_tst_64x8_64x16_1x4_h_bz_TNT", "void implicit_convolve_sgemm<__nv_bfloat16>(int)"
NARROW = "cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16_32x32_32x2_tn_align2"


def ran(median_us: float, *kernels: str) -> Timing:
    return row(median_us, kernels=tuple(Kernel(name, (1, 1, 1), (128, 1, 1)) for name in kernels))


def depthwise(name: str, read: str) -> Layer:
    plain = conv(name, read)
    assert isinstance(plain.work, Convolution)
    return replace(plain, work=replace(plain.work, groups=64))


def test_the_unit_is_that_of_the_fastest_measured_kernel() -> None:
    a, b = conv("a", "x"), conv("b", "a", channels=32)
    case = case_of(
        graph(a, b, relu("r", "b")), Rows(timings(([a], ran(10.0, "memset", TENSOR)), ([b], ran(30.0, SIMT))))
    )
    assert [(p.unit, p.kernel) for p in products(case)] == [(Unit.TENSOR_CORES, TENSOR), (Unit.CUDA_CORES, SIMT)]
    answer = tensor_cores(case)
    assert "use tensor cores in 1 of 2 products, 25 % of their time" in answer.sentence
    (elsewhere,) = (table for table in answer.tables if table.title == "Products off tensor cores")
    assert elsewhere.rows[0][0] == "b"


def counted(l2_bytes: float = 1e6, occupancy: float = 0.2, waves: float = 2.0, us: float = 10.0) -> Table | None:
    """The table of counters of a product of 2 x 0.4 Gmacs that takes ``us``."""
    a = conv("a", "x", channels=256)
    rows = timings(([a], ran(us, TENSOR)))
    counters = Counters(PLAN, 1e6, l2_bytes, 1e6, occupancy, waves)
    answer = tensor_cores(case_of(graph(a), Rows(rows, counted={Chain.of([a]).digest: [counters]})))
    return next((table for table in answer.tables if "by hardware counters" in table.title), None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"us": 5.0}, "nothing: they are full"),
        ({"l2_bytes": 100e6}, "the L2 cache's bandwidth"),
        ({"waves": 0.3}, "work: the CTAs fill no wave"),
        ({"occupancy": 0.05}, "warps: too few are in flight"),
        ({}, "no bandwidth: latency, or a short product"),
    ],
)
def test_counters_say_what_tensor_cores_wait_for(changes: dict[str, float], reason: str) -> None:
    table = counted(**changes)
    assert table is not None
    (row_of_a,) = table.rows
    assert (row_of_a[0], row_of_a[-1]) == ("a", reason)
    assert row_of_a[4] == pytest.approx(100 * 2 * 56 * 56 * 256 * 256 * 9 / (row_of_a[3] * 989.43e6), rel=1e-3)


def test_counters_of_another_implementation_say_nothing_of_the_fastest() -> None:
    a = conv("a", "x")
    other = replace(PLAN, name="eng1")
    counters = {Chain.of([a]).digest: [Counters(other, 1e6, 1e6, 1e6, 0.2, 2.0)]}
    answer = tensor_cores(case_of(graph(a), Rows(timings(([a], ran(10.0, TENSOR))), counted=counters)))
    assert not any("by hardware counters" in table.title for table in answer.tables)


def test_depthwise_convolutions_are_no_fault() -> None:
    a, d = conv("a", "x"), depthwise("d", "a")
    answer = tensor_cores(
        case_of(graph(a, d), Rows(timings(([a], ran(10.0, TENSOR)), ([d], ran(5.0, "conv2d_c1_k1_nhwc")))))
    )
    assert "Depthwise convolutions (5.00 µs) hold no matrix product" in answer.sentence


def test_without_rows_the_answer_says_what_is_missing() -> None:
    answer = tensor_cores(case_of(graph(conv("a", "x"))))
    assert answer.sentence.startswith("No kernel of this model is known; H200 SXM 141GB has tensor cores for ")
    assert "headroom measure" in answer.needs


def test_a_narrower_type_saves_what_was_measured_in_both() -> None:
    a = conv("a", "x", channels=256)
    rows = PerType(by_dtype={DataType.FP32: timings(([a], row(500.0))), DataType.BF16: timings(([a], row(60.0)))})
    gains = {gain.dtype: gain for gain in type_gains(case_of(graph(a), rows, DataType.FP32))}
    assert gains[DataType.BF16].saves_us == pytest.approx(440.0)
    assert gains[DataType.BF16].source is Source.MEASURED
    assert gains[DataType.TF32].source is Source.PREDICTED
    findings = tensor_cores(case_of(graph(a), rows, DataType.FP32)).findings
    bf16 = next(finding for finding in findings if "bf16" in finding.title)
    assert bf16.speedup == pytest.approx(500 / 60)
    assert "channels_last" in bf16.code
    assert "accuracy" in bf16.limits


def test_a_model_without_convolutions_needs_no_channels_last() -> None:
    a = matmul("a", "x", 1024, 1024, 1024)
    rows = PerType(by_dtype={DataType.FP32: timings(([a], row(500.0))), DataType.BF16: timings(([a], row(60.0)))})
    findings = tensor_cores(case_of(graph(a), rows, DataType.FP32)).findings
    assert all("channels_last" not in finding.code for finding in findings)


def test_fp8_is_for_matrix_products_and_pays_for_its_casts() -> None:
    large = matmul("a", "x", 8192, 8192, 8192)
    case = case_of(graph(large))
    (gain,) = type_gains(case)
    assert gain.dtype is DataType.FP8
    other = case.other_dtypes[DataType.FP8]
    assert 0 < gain.saves_us < case.timed.times_us[0] - other.times_us[0]
    assert not list(type_gains(case_of(graph(conv("c", "x", channels=512)))))
    assert not list(type_gains(case_of(graph(matmul("odd", "x", 8192, 8200, 8192)))))


def test_a_gpu_without_tensor_cores_is_told() -> None:
    old = replace(H200, name="Old", tensor_tflops={})
    assert (
        tensor_cores(case_of(graph(conv("a", "x")), dtype=DataType.FP32, gpu=old)).sentence
        == "Old has no tensor cores."
    )


def test_odd_widths_are_named_with_the_nearest_even_ones() -> None:
    odd = conv("odd", "x", channels=58)
    (group,) = misaligned(case_of(graph(odd)))
    assert group.widths == {58: (56, 64)}
    assert group.gain_us is None  # nothing was measured to tell
    assert not misaligned(case_of(graph(conv("even", "x"))))
    assert not misaligned(case_of(graph(odd), dtype=DataType.FP32))
    assert misaligned(case_of(graph(conv("c", "x", channels=60)), dtype=DataType.BF16))
    assert not misaligned(case_of(graph(conv("c", "x", channels=60)), dtype=DataType.TF32))


def test_padding_is_predicted_from_aligned_layers_of_the_same_model() -> None:
    odd = conv("odd", "x", channels=250)
    even = [conv(f"e{size}", "x", channels=256, size=size) for size in (56, 48, 40)]
    theory = predict_layers([*even, rounded(odd, 8)], H200, DataType.BF16)
    times = [0.8 * (prediction.time_us or 0.0) for prediction in theory]
    rows = timings(
        *(([layer], ran(time, TENSOR)) for layer, time in zip(even, times, strict=False)),
        ([odd], ran(5 * times[-1], NARROW)),
    )
    case = case_of(graph(*even, odd), Rows(rows))
    (group,) = misaligned(case)
    assert group.gain_us == pytest.approx(4 * times[-1])
    finding = next(finding for finding in tensor_cores(case).findings if finding.kind == "alignment")
    assert finding.layers == ("odd",)
    assert finding.action.startswith("Pad 250 to 256 with zeros")
    assert "Kernels now load as few as 2 values at once." in finding.action
    assert "have to change together" in finding.limits


def test_a_library_that_pads_by_itself_is_told() -> None:
    odd, even = (
        conv("odd", "x", channels=250),
        [conv(f"e{size}", "x", channels=256, size=size) for size in (56, 48, 40)],
    )
    padding = "void nhwcAddPaddingKernel<__nv_bfloat16>(int)"
    rows = timings(*(([layer], ran(5.0, TENSOR)) for layer in even), ([odd], ran(900.0, padding, TENSOR)))
    findings = tensor_cores(case_of(graph(*even, odd), Rows(rows))).findings
    assert any("cuDNN does so itself before each run" in finding.action for finding in findings)


def test_narrowing_is_told_beside_padding() -> None:
    odd, even = (
        conv("odd", "x", channels=250),
        [conv(f"e{size}", "x", channels=256, size=size) for size in (56, 48, 40)],
    )
    rows = timings(*(([layer], ran(20.0, TENSOR)) for layer in even), ([odd], ran(50.0, NARROW)))
    (group,) = misaligned(case_of(graph(*even, odd), Rows(rows)))
    assert group.widths == {250: (248, 256)}
    assert group.narrowed_us is not None
    assert group.padded_us is not None
    # Two even widths, of which the narrower may cut its last tiles a little worse.
    assert group.narrowed_us <= 1.02 * group.padded_us
    assert rounded(odd, 8, up=False).outputs[0].shape[1] == 248


def test_a_widened_layer_is_wide_in_work_and_tensors() -> None:
    wide = rounded(conv("c", "x", channels=58, size=58), 8)
    assert isinstance(wide.work, Convolution)
    assert (wide.work.in_channels, wide.work.out_channels) == (64, 64)
    assert wide.inputs[0].shape == wide.outputs[0].shape == (1, 64, 58, 58)
    product = rounded(matmul("m", "x", 30, 100, 50), 16)
    assert isinstance(product.work, Matmul)
    assert (product.work.m, product.work.n, product.work.k) == (30, 112, 64)
    assert (product.inputs[0].shape, product.outputs[0].shape) == ((30, 64), (30, 112))
