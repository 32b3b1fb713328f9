"""A measured layer shows what its implementation launches, and which of it only turns a layout round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import headroom as hr
from headroom.report.answer import to_dict
from headroom.report.html import render_html
from headroom.report.html.rows import layer_rows
from headroom.report.kernels import short_name, transposes
from headroom.report.published import schema
from headroom.store.rows import Kernel
from recorded import record

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"

TO_NHWC = (
    "_ZN5cudnn19engines_precompiled16nchwToNhwcKernelI13__nv_bfloat16S2_fLb0ELb1EL21cudnnKernelDataType_t0EEEv"
    "NS0_18nchw2nhwc_params_tIT1_EEPKT_PT0_"
)
PRODUCT = "sm80_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x64_stage3"
TO_NCHW = "_ZN5cudnn6fusion16nhwcToNchwKernelIttfLb0ELb1EEEvNS0_18nhwc2nchw_params_tIT1_EEPKT_PT0_"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> hr.Analysis:
    graph = hr.load(EXAMPLE)
    return hr.analyze(graph, "h200", "bf16", db=record(tmp_path_factory.mktemp("recorded") / "h200.sqlite", graph))


def launching(analysis: hr.Analysis, *names: str) -> hr.Analysis:
    """The answer as if its longest layer launched kernels of these names, and its others none."""
    longest = max(analysis.answers, key=lambda answer: answer.total_us)
    answers = []
    for answer in analysis.answers:
        assert answer.timing is not None
        kernels = tuple(Kernel(name, (132, 2, 1), (128, 1, 1)) for name in names) if answer is longest else ()
        answers.append(replace(answer, timing=replace(answer.timing, kernels=kernels)))
    return replace(analysis, answers=tuple(answers))


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (TO_NHWC, "nchwToNhwcKernel"),
        ("_Z22tensorTransformGenericIfffLb1ELb0ELb0EL21cudnnKernelDataType_t0EEv26cudnn", "tensorTransformGeneric"),
        ("_ZN7cutlass7Kernel2I41cutlass_80_simt_sgemm_64x64_8x5_tn_align1EEvNT_6ParamsE",
         "cutlass_80_simt_sgemm_64x64_8x5_tn_align1"),
        ("_ZN2at6native29vectorized_elementwise_kernelILi8ENS0_15CUDAFunctor_add", "vectorized_elementwise_kernel"),
        (PRODUCT, PRODUCT),
        ("_Z", "_Z"),
        ("_ZN5", "_ZN5"),
    ],
)  # fmt: skip
def test_a_mangled_name_is_shown_as_the_function_it_is_of(name: str, short: str) -> None:
    assert short_name(name) == short
    assert short_name("_ZN" + "9" * 5000), "a length that no name has"


def test_kernels_that_turn_a_layout_round_are_told_from_those_that_compute() -> None:
    turning = (TO_NHWC, TO_NCHW, "_ZN5cudnn19engines_precompiled23genericTranspose_kernelIfffLb1E")
    computing = (
        PRODUCT,
        "_Z11scal_kernelIffLi1ELb1ELi6ELi5ELi5ELi3EEv21cublasTransposeParamsIT0_EPKT_PS3_PKS1_",
        "sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32_nchwkcrs_nchw_tilesize32x32x8_stage3",
        "_ZN5cudnn19engines_precompiled20convertTensor_kernelIf6__halffL21cudnnKernelDataType_t0EEEvT1_PKT_S4_PT0_m",
    )
    assert all(map(transposes, turning))
    assert not any(map(transposes, computing))


def test_the_page_names_the_kernels_of_a_layer_and_marks_transposes(plain: hr.Analysis) -> None:
    analysis = launching(plain, TO_NHWC, PRODUCT, TO_NCHW)
    row = layer_rows(analysis)[0]
    assert [(kernel.text, kernel.transposes) for kernel in row.kernels] == [
        ("nchwToNhwcKernel", True), (row.kernels[1].text, False), ("nhwcToNchwKernel", True),
    ]  # fmt: skip
    assert "transposes the layout" in row.search
    page = render_html([analysis])
    assert f'<small title="{TO_NHWC}" class=transposes>nchwToNhwcKernel <b>transposes the layout</b></small>' in page
    assert page.count("<b>transposes the layout</b>") == 2


def test_many_kernels_take_few_lines_and_hide_no_transpose(plain: hr.Analysis) -> None:
    names = [f"step{number}" for number in range(6)]
    row = layer_rows(launching(plain, *names, "step0", TO_NCHW))[0]
    assert [kernel.text for kernel in row.kernels] == ["step0 × 2", "step1", "step2", "step3", "nhwcToNchwKernel"]
    assert row.hidden_kernels == 2


def test_the_json_lists_the_kernels_of_measured_layers_alone(plain: hr.Analysis) -> None:
    answer = to_dict(launching(plain, TO_NHWC, PRODUCT))
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(answer)) == []
    (kernels,) = (layer["kernels"] for layer in answer["layers"] if layer["kernels"])
    assert [kernel["transposes_layout"] for kernel in kernels] == [True, False]
    assert kernels[0] == {"name": TO_NHWC, "grid": [132, 2, 1], "block": [128, 1, 1], "transposes_layout": True}
    predicted = to_dict(hr.analyze(hr.load(EXAMPLE), "h200", "bf16", source="predicted"))
    assert {len(layer["kernels"]) for layer in predicted["layers"]} == {0}


def test_a_kernels_name_from_a_strangers_database_is_text(plain: hr.Analysis) -> None:
    page = render_html([launching(plain, "<script>alert(1)</script>\x1b[31m", '_Z8"><img s' + "x" * 10_000)])
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "x" * 500 not in page
