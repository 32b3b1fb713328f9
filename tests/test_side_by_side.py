"""The comparison with PyTorch's profiler and HTA: its page is the script's, and its table the profiler's."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import side_by_side_page
from headroom.measure.profiles.reading import read_profile
from record import RESULTS, ROOT
from side_by_side_eye import Row, dearest, kind_of, operators, profiler_table

TRACE = RESULTS / "profiles" / "resnet50-1-default.json.gz"


@pytest.fixture(scope="module")
def hta() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / "hta.json").read_text("utf-8"))
    return document


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((RESULTS / "side_by_side.json").read_text("utf-8"))
    return document


def test_the_page_shows_what_the_script_wrote(results: dict[str, Any], hta: dict[str, Any]) -> None:
    shown = (ROOT / "docs" / "side-by-side.md").read_text("utf-8")
    assert side_by_side_page.page(results, hta) == shown, "run `python benchmarks/side_by_side.py`"


def test_nobody_typed_a_measured_figure() -> None:
    assert re.findall(r"\d[\d.,]* ?(?:[nµm]s\b|%|×)", side_by_side_page._PAGE) == []


def test_every_recorded_run_is_held_against_both_tools(results: dict[str, Any], hta: dict[str, Any]) -> None:
    assert [run["profile"] for run in results["runs"]] == list(hta["runs"])
    assert {"1", "32"} == {name.rsplit("-", 2)[1] for name in hta["runs"]}


def test_the_profilers_table_holds_all_of_the_gpus_time() -> None:
    steps = read_profile(TRACE).steps
    rows = profiler_table(TRACE, len(steps))
    spent_us = sum(launch.duration_us for step in steps for launch in step.launches) / len(steps)
    assert sum(row.time_us for row in rows) == pytest.approx(spent_us)
    assert operators(rows)[0][0] == "aten::cudnn_convolution"


@pytest.mark.parametrize(
    ("operator", "kernel", "kind"),
    [
        ("aten::addmm", "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize64x64x8_stage3_ffma", "general"),
        ("aten::addmm", "void sgemm_largek_lds64<true, false, 5>", "general"),
        ("aten::cudnn_convolution", "cutlass_80_tensorop_s1688gemm_128x128_32x3_nn_align4", "products"),
        ("aten::cudnn_convolution", "void cudnn::engines_precompiled::nchwToNhwcKernel<float>", "layout"),
        ("aten::add_", "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add>", "pointwise"),
        ("aten::copy_", "void at::native::unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda>", "copies"),
        ("aten::addmm", "Memset (Device)", "fills"),
        ("aten::max_pool2d_with_indices", "max_pool_forward_nhwc", "other"),
    ],
)
def test_rows_are_taken_for_what_someone_who_knows_the_kernels_takes_them_for(
    operator: str, kernel: str, kind: str
) -> None:
    assert kind_of(Row(operator, kernel, 1.0, 1.0)) == kind


def test_the_dearest_losses_come_first_and_there_are_five_at_most(hta: dict[str, Any]) -> None:
    for name, run in hta["runs"].items():
        losses = dearest(profiler_table(RESULTS / "profiles" / f"{name}.json.gz", run["steps"]), run)
        spent = [time_us for _, time_us in losses]
        assert spent == sorted(spent, reverse=True)
        assert 1 <= len(losses) <= 5
