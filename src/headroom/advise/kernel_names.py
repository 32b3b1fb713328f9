"""What a kernel's name tells: the unit that it multiplies on, its library, and how wide it loads.

Names are the only public account of what a closed library does, and they follow a few habits: an instruction's shape
(``s16816``, ``tensor16x8x16``), the unit (``tensorop``, ``simt``, ``ffma``), the generator (``nvjet``, ``xmma``,
``fort_native``). Names come mangled from the driver and readable from profilers; both are understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache


class Unit(StrEnum):
    """Where a kernel's products are computed. ``UNTOLD`` multiplies, but its name does not say on what."""

    TENSOR_CORES = "tensor cores"
    CUDA_CORES = "CUDA cores"
    UNTOLD = "untold"


class Library(StrEnum):
    """Whose kernel it is."""

    CUDNN = "cuDNN"
    CUBLAS = "cuBLAS"
    PYTORCH = "PyTorch"
    TRITON = "Triton"
    OTHER = "other"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


#: Helpers beside a product: transforms, padding, reductions of partial sums. Their names may speak of the product.
_HELPERS = _any(
    r"splitKreduce", r"epilogue\W*4?impl\W*12?globalKernel|epilogue::impl::globalKernel", r"reduce_1Block_kernel",
    r"scal_kernel", r"region_transform", r"[Tt]ranspose", r"nchwToNhwc|nhwcToNchw|[Nn]hwc2nchw|AddPadding|SliceC",
    r"tensorTransform|convertTensor", r"fft2d_|flip_filter|im2col|kern_precompute_indices|init_device_workspace",
    r"winograd(?:Forward|Bwd|Backward)?(?:Data|Filter|Output)|winograd\w*?generateWinograd", r"^mem(?:set|cpy)",
    r"^cudnn_generated_(?:fort_native_sm\d+_)?(?:pointwise_)+",
)  # fmt: skip

#: Products on tensor cores, whatever the data type.
_TENSOR = _any(
    r"tensorop", r"_tensor\d+x\d+x\d+", r"nvjet_", r"wgmma|[hib]?gmma_|hmma|imma|bmma|dmma|wmma",
    r"(?<![\d])[hsid](?:884|8816|1688|16816|16832|161616)(?!\d)", r"_(?:884|1688|16816)(?:gemm|cudnn|conv)",
    r"sm(?:9\d|1\d\d)_xmma_\w*warpgroupsize", r"cudnn_generated_fort_native_sdpa",
    r"cudnn_generated_fort_native_sm(?:[89]\d|1\d\d)_(?:conv|matMul)",
    r"cudnn_generated_(?:conv|matMul)\w*_(?:cutlass|xmma)_sm(?:[789]\d|1\d\d)",
    r"flash_(?:fwd|bwd)\w*_kernel|Flash_(?:fwd|bwd)_kernel|FlashAttn(?:Fwd|Bwd)",
    r"fmha_cutlass[FB]_(?:bf16|f32)\w*_sm(?:[89]\d|1\d\d)", r"fmha_cutlass[FB]_f16\w*_sm(?:[789]\d|1\d\d)",
)  # fmt: skip

#: Products on the plain units. Asked before :data:`_TENSOR`, because ``ffma`` beside ``xmma`` decides.
_CUDA = _any(
    r"_simt_", r"_[fdh]fma_|fort_ffma", r"[sdc]gemm", r"gemv|gemmSN|gemmk1|dot_kernel",
    r"convolve_common_engine|grouped_direct_kernel|depthwise|conv2d_c1_k1", r"cf32cf32|pointwise_mult_and_sum_complex",
    r"scudnn(?!\w*884)|hcudnn(?!\w*884)", r"fmha_cutlass[FB]_\w+_sm[56]\d|fmha_cutlass[FB]_f32\w*_sm7\d",
    r"triton_(?:red|per)_fused\w*_(?:mm|addmm|bmm|mv)_",
)  # fmt: skip

#: Products whose name tells the operands' type and no instruction: 16-bit and narrower ones have no fast plain unit.
_BY_OPERANDS = _any(r"xmma_\w*?_(?:bf16bf16|f16f16|tf32tf32|f32f32_tf32|e4m3|e5m2|i8i8)")

#: Products that tell nothing of the unit.
_UNTOLD = _any(r"xmma_", r"gemm", r"triton_(?:tem|mm)", r"convolve|[cC]onv[FDW]\w*_|conv2d|matMul", r"attention|fmha")

_LIBRARIES = (
    (Library.TRITON, _any(r"^triton_")),
    (
        Library.PYTORCH,
        _any(r"at::|N2at|pytorch_flash|PyTorchMemEffAttention|fmha_cutlass|c10::|torch|GLOBAL__N|softmax_warp"),
    ),
    (Library.CUBLAS, _any(r"cublas", r"nvjet_", r"gemv|gemmSN|gemmk1", r"cutlass\W*7?Kernel2?\W", r"[sdch]gemm_")),
    (
        Library.CUDNN,
        _any(
            r"cudnn|cask", r"nhwc|nchw|Nhwc|Nchw|tensorTransform|convertTensor", r"fft2d_|flip_filter|im2col",
            r"convolve_|conv2d_c1_k1|kern_precompute_indices|pointwise_mult_and_sum", r"winograd|implicit_gemm",
            r"^ln_(?:tma_)?fwd_kernel|softmax_fw_", r"RNN|LSTM|GRU",
        ),
    ),
    (Library.CUBLAS, _any(r"gemm|xmma|cutlass", r"dot_kernel|scal_kernel|reduce_1Block|region_transform")),
)  # fmt: skip

_ALIGNMENT = re.compile(r"_align(?:a)?(\d+)")


@cache
def unit_of(name: str) -> Unit | None:
    """The unit that a kernel multiplies matrices on; ``None`` for one that multiplies none."""
    if _HELPERS.search(name):
        return None
    if _CUDA.search(name):
        return Unit.CUDA_CORES
    if _TENSOR.search(name) or _BY_OPERANDS.search(name):
        return Unit.TENSOR_CORES
    if re.search(r"(?:f32f32_f32f32|xmma\w*_f32)", name):
        return Unit.CUDA_CORES
    if name.startswith("triton_") and not re.match(r"triton_(?:tem|mm)", name):
        return None
    return Unit.UNTOLD if _UNTOLD.search(name) else None


def unit_of_all(names: Iterable[str]) -> Unit | None:
    """The unit of a layer that these kernels run: tensor cores if any of its products is there."""
    found = {unit_of(name) for name in names}
    return next((unit for unit in (Unit.TENSOR_CORES, Unit.UNTOLD, Unit.CUDA_CORES) if unit in found), None)


@cache
def library_of(name: str) -> Library:
    """The library that a kernel comes from."""
    return next((library for library, pattern in _LIBRARIES if pattern.search(name)), Library.OTHER)


@cache
def alignment_of(name: str) -> int | None:
    """Elements of an operand that the kernel loads at once, where its name tells: ``align8`` is 8."""
    match = _ALIGNMENT.search(name)
    return int(match[1]) if match else None
