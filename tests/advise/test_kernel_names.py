"""A kernel's name tells its unit, its library and how wide it loads: on every name that the H200 left."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from importlib.resources import files

import pytest

from headroom.advise.kernel_names import Library, Unit, alignment_of, library_of, unit_of, unit_of_all

PRODUCTS = {"convolution", "matmul", "matvec", "attention", "recurrent"}

#: Attention in fp32 runs on tensor cores all the same: its kernels put each product together from several of tf32.
EMULATED = "fmha_cutlassF_f32"

Row = tuple[str, str, str]


@pytest.fixture(scope="module")
def launched() -> dict[tuple[int, Row], list[str]]:
    """The kernels of every good row of the shipped database, by the row's (kind, data type, implementation)."""
    query = """
        select timings.key, chains.kind, timings.dtype, implementations.backend || ' ' || implementations.name,
            kernels.name
        from timings join chains on chains.key = chains_key join implementations on implementations.key =
            implementations_key join launches on timings_key = timings.key join kernels on kernels.key = kernels_key
        where status = 'ok' order by timings.key, position
    """
    rows: dict[tuple[int, Row], list[str]] = defaultdict(list)
    place = files("headroom.store") / "shipped" / "h200.sqlite"
    with sqlite3.connect(f"file:{place}?mode=ro", uri=True) as connection:
        for key, kind, dtype, implementation, kernel in connection.execute(query):
            rows[key, (kind, dtype, implementation)].append(kernel)
    return rows


def test_every_product_that_was_measured_has_a_unit_and_nothing_else_has(
    launched: dict[tuple[int, Row], list[str]],
) -> None:
    for (_, row), names in launched.items():
        assert (unit_of_all(names) in (Unit.TENSOR_CORES, Unit.CUDA_CORES)) is (row[0] in PRODUCTS), (row, names)


def test_strict_fp32_never_runs_on_tensor_cores(launched: dict[tuple[int, Row], list[str]]) -> None:
    for (_, row), names in launched.items():
        if row[1] == "fp32" and not any(EMULATED in name for name in names):
            assert unit_of_all(names) in (Unit.CUDA_CORES, None), (row, names)


def test_cublas_runs_every_matmul_in_16_bits_on_tensor_cores(launched: dict[tuple[int, Row], list[str]]) -> None:
    found = [names for (_, row), names in launched.items() if row[:2] == ("matmul", "bf16") and "cublaslt" in row[2]]
    assert len(found) > 20
    assert {unit_of_all(names) for names in found} == {Unit.TENSOR_CORES}


def test_every_kernel_has_a_library_but_copies_and_fills(launched: dict[tuple[int, Row], list[str]]) -> None:
    names = {name for each in launched.values() for name in each}
    assert len(names) > 1000
    assert {name for name in names if library_of(name) is Library.OTHER} <= {"memset", "memcpy"}


@pytest.mark.parametrize(
    ("name", "unit", "library"),
    [
        ("nvjet_sm90_tst_128x144_64x6_2x1_v_bz_coopA_gelubias_NNT", Unit.TENSOR_CORES, Library.CUBLAS),
        ("ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_stages_64x5_tn", Unit.TENSOR_CORES, Library.CUBLAS),
        ("volta_fp16_s884gemm_fp16_128x128_ldg8_f2f_nn", Unit.TENSOR_CORES, Library.CUBLAS),
        ("turing_fp16_s1688cudnn_fp16_128x128_ldg8_relu_f2f_exp_small_nhwc_tn_v1", Unit.TENSOR_CORES, Library.CUDNN),
        ("sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n_stage3_tensor16x8x8_cublas", Unit.TENSOR_CORES, Library.CUBLAS),
        ("sm80_xmma_gemm_f32f32_f32f32_f32_nn_n_tilesize128x128x8_ffma_cublas", Unit.CUDA_CORES, Library.CUBLAS),
        ("sm90_xmma_fprop_implicit_gemm_f32f32_tf32f32_f32_nhwckrsc_nhwc_warpgroupsize1x1x1_cudnn", Unit.TENSOR_CORES,
         Library.CUDNN),
        ("volta_scudnn_128x64_relu_interior_nn_v1", Unit.CUDA_CORES, Library.CUDNN),
        ("volta_sgemm_128x64_nn", Unit.CUDA_CORES, Library.CUBLAS),
        ("void cutlass::Kernel2<cutlass_80_simt_sgemm_64x64_8x5_tn_align1>(Params)", Unit.CUDA_CORES, Library.CUBLAS),
        ("void implicit_convolve_sgemm<__nv_bfloat16, __nv_bfloat16, 128, 5, 5>(int)", Unit.CUDA_CORES, Library.CUDNN),
        ("void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4>>(Flash_fwd_params)",
         Unit.TENSOR_CORES, Library.PYTORCH),
        ("fmha_cutlassF_f32_aligned_64x64_rf_sm75(PyTorchMemEffAttention)", Unit.CUDA_CORES, Library.PYTORCH),
        ("triton_tem_fused_addmm_gelu_0", Unit.UNTOLD, Library.TRITON),
        ("triton_poi_fused_addmm_gelu_view_0", None, Library.TRITON),
        ("triton_red_fused_mm_0", Unit.CUDA_CORES, Library.TRITON),
        ("void cublasLt::splitKreduce_kernel<32, 16, int, float>(cublasLt::cublasSplitKParams<float>)", None,
         Library.CUBLAS),
        ("void nhwcAddPaddingKernel<__nv_bfloat16>(int)", None, Library.CUDNN),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>>(int)", None,
         Library.PYTORCH),
    ],
)  # fmt: skip
def test_names_of_other_gpus_and_profilers_are_understood(name: str, unit: Unit | None, library: Library) -> None:
    assert (unit_of(name), library_of(name)) == (unit, library)


def test_a_product_with_helpers_is_where_the_product_is() -> None:
    padded = ["memset", "void nhwcAddPaddingKernel<float>(int)", "cutlass_80_tensorop_s1688gemm_64x64_16x6_tn_align4"]
    assert unit_of_all(padded) is Unit.TENSOR_CORES
    assert unit_of_all(["memset"]) is None


def test_the_elements_that_a_kernel_loads_at_once_are_in_its_name() -> None:
    assert alignment_of("cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16_32x32_32x2_tn_align2") == 2
    assert alignment_of("sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_ffma_aligna4_alignc4_execute_kernel__5x_cublas") == 4
    assert alignment_of("nvjet_sm90_tst_8x64_64x16_4x1_v_bz_TNN") is None
