"""Tiles read off the names that real libraries give their kernels."""

from __future__ import annotations

import pytest

from headroom.measure.cuda.kernel_names import tile_of

TILES = {
    "cudnn_generated_fort_native_sm80_convFwd_knob_21_128x128x32_4_0": (128, 128, 32),
    "sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x64_warpgroupsize1x1x1_g1"
    "_execute_segment_k_off_kernel__5x_cudnn": (128, 128, 64),
    "sm90_xmma_fprop_implicit_gemm_f32f32_tf32f32_f32_nhwckrsc_nhwc_tilesize64x128x32": (64, 128, 32),
    "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1_execute_segment_k_off_kernel"
    "__5x_cublas": (128, 128, 64),
    "sm80_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x32_stage4_warpsize2x2x1_tensor16x8x16_fused": (
        128, 128, 32,
    ),
    "sm80_xmma_gemm_f16f16_f16f32_f32_tn_n_tilesize64x64x32_stage3_warpsize2x2x1_tensor16x8x16_kernel": (64, 64, 32),
    "nvjet_tst_112x64_64x9_2x1_v_bz_bias_TNN": (112, 64, 64),
    "nvjet_tst_128x256_64x4_2x1_v_bz_coopA_TNT": (128, 256, 64),
    "nvjet_sm100_tst_64x32_64x16_2x1_2cta_h_bz_splitK_TNT": (64, 32, 64),
    "nvjet_sm100_tst_16x64_64x16_4x1_v_bz_TNN": (16, 64, 64),
    "nvjet_sm120_tst_mma_64x64x128_3_32x32x128_tmaAB_alignCD4_bz_TNNN": (64, 64, 128),
    "_ZN7cutlass7Kernel2I66cutlass_80_tensorop_f16_s16816gemm_relu_f16_256x128_32x3_tn_align8EEE": (256, 128, 32),
    "void cutlass::Kernel<cutlass_80_tensorop_bf16_s16816gemm_bf16_64x256_32x4_nn_align8>(T1::Params)": (64, 256, 32),
    "void cutlass::Kernel2<cutlass_80_tensorop_s1688gemm_128x256_16x3_nn_align4>": (128, 256, 16),
    "cutlass_80_simt_sgemm_256x128_8x4_nn_align1": (256, 128, 8),
    "cutlass3x_sm90_tensorop_s64x128x16gemm_bf16_bf16_f32_bf16_bf16_128x128x64_2x1x1_0_tnn_align8": (128, 128, 64),
    "ampere_fp16_s16816gemm_fp16_128x128_ldg8_relu_f2f_stages_32x5_tn": (128, 128, 32),
    "ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_tn": (128, 64, 64),
    "ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f_nn": (128, 64, 0),
    "ampere_fp16_s1688gemm_fp16_256x64_ldg8_f2f_nt": (256, 64, 0),
    "ampere_sgemm_128x64_nn": (128, 64, 0),
    "ampere_igemm_int8_128x128_ldg4_nt_v0": (128, 128, 0),
    "volta_scudnn_128x32_relu_medium_nn_v1": (128, 32, 0),
    "_5x_cudnn_ampere_scudnn_128x32_relu_interior_nn_v1": (128, 32, 0),
    "volta_scudnn_winograd_128x128_ldg1_ldg4_relu_tile148t_nt_v1": (128, 128, 0),
    "sgemm_32x32x32_NT_vec": (32, 32, 32),
    "_ZN5flash16flash_fwd_kernelI23Flash_fwd_kernel_traitsILi64ELi128ELi64ELi4ELb0ELb0EN7cutlass10bfloat16_tE": (
        128, 64, 64,
    ),
    "void flash_fwd_kernel<Flash_fwd_kernel_traits<128,128,128,4>>": (128, 128, 128),
    "void flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128, 64, 128, 4, false>>": (64, 128, 128),
}  # fmt: skip


@pytest.mark.parametrize("name", TILES)
def test_the_tile_of_a_product_is_in_its_name(name: str) -> None:
    assert tile_of(name) == TILES[name]


@pytest.mark.parametrize(
    "name",
    [
        "void cudnn::ops::nchwToNhwcKernel<float, float, float, false, true, (cudnnKernelDataType_t)2>",
        "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::BFloat16>>",
        "triton_poi_fused_convolution_relu_3",
        "void at::native::(anonymous namespace)::max_pool_forward_nchw<float, int>",
        "void cudnn::bn_fw_inf_1C11_kernel_NCHW<float, float, true, 1>",
        "memcpy",
        "sm80_kernel_warpsize2x2x1_tensor16x8x16",
        "",
    ],
)
def test_other_kernels_have_none(name: str) -> None:
    assert tile_of(name) is None
