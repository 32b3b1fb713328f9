"""What a kernel does, by its name: the only thing that a replayed CUDA graph tells beside the grid."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from headroom.advise.matching.functions import canonical
from headroom.advise.matching.signature import Family


class Part(StrEnum):
    """Which part of a layer's work a kernel does."""

    WHOLE = "whole"
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Kernel:
    """``purpose`` is that of an :class:`~headroom.advise.execution.OtherRun`, for what no layer asks for."""

    family: Family
    functions: frozenset[str] = frozenset()
    part: Part = Part.WHOLE
    purpose: str = ""


def _kernel(family: Family, *functions: str, part: Part = Part.WHOLE, purpose: str = "") -> Kernel:
    return Kernel(family, frozenset(functions), part, purpose)


_MOVED = Family.MOVEMENT

#: Template arguments make names of two thousand characters; a profile from a stranger may hold any.
_LONGEST_NAME = 8192

#: The first that is found in the name counts, so the particular stand before the general.
_RULES: tuple[tuple[re.Pattern[str], Kernel], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kernel)
    for pattern, kernel in (
        (r"AddPadding|pad_kernel|constant_pad", _kernel(_MOVED, "pad", part=Part.BEFORE, purpose="pad")),
        (r"nchwToNhwc|nchw2nhwc|foldedNhwc|cublasTranspose\w*_kernel|transpose_readWrite|kcrsTo|computeOffsets",
         _kernel(_MOVED, "copy", part=Part.BEFORE, purpose="transpose")),
        (r"nhwcToNchw|nhwc2nchw", _kernel(_MOVED, "copy", part=Part.AFTER, purpose="transpose")),
        (r"^memset|device_workspace", _kernel(_MOVED, part=Part.BEFORE, purpose="fill")),
        (r"^memcpy", _kernel(_MOVED, "copy", purpose="copy")),
        (r"split_?K_?reduce|cublasLt::epilogue|reduce_1Block", _kernel(Family.PRODUCT, part=Part.AFTER)),
        (r"\bscal_kernel|calc_invstd|winograd\w*generate|flip_filter|fft2d_r2c|image2col",
         _kernel(Family.OTHER, part=Part.BEFORE)),
        (r"fft2d_c2r", _kernel(Family.OTHER, part=Part.AFTER)),
        (r"fmha|sdpa|flash_fwd|flash_attn|AttentionKernel|flash::", _kernel(Family.ATTENTION)),
        (r"fprop|convolve|conv\d?d|depthwise|winograd|convFwd|dgrad|implicit_con|conv_|Conv_",
         _kernel(Family.CONVOLUTION)),
        (r"bn_fw|batch_norm|bnInference", _kernel(Family.NORMALIZATION, "batch")),
        (r"rms_?norm", _kernel(Family.NORMALIZATION, "rms")),
        (r"layer_?norm", _kernel(Family.NORMALIZATION, "layer")),
        (r"group_?norm|RowwiseMoments", _kernel(Family.NORMALIZATION, "group")),
        (r"softmax", _kernel(Family.SOFTMAX, "softmax")),
        (r"max_?pool", _kernel(Family.POOLING, "max")),
        (r"avg_?pool|adaptive_average|average_?pool|pooling_fw", _kernel(Family.POOLING, "average")),
        (r"MeanOps|reduce_kernel.*mean", _kernel(Family.REDUCTION, "average")),
        (r"reduce_kernel|ReduceOp|block_reduce", _kernel(Family.REDUCTION)),
        (r"CatArray|concat", _kernel(_MOVED, "concat")),
        (r"indexSelect|gather|embedding|index_elementwise|index_kernel", _kernel(Family.EMBEDDING, "gather")),
        (r"upsample|interpolat|resize", _kernel(_MOVED, "resize")),
        (r"lstm|gru_|RNN_", _kernel(Family.RECURRENT)),
        (r"nvjet|gemm|gemv|cublas|cutlass|dot_kernel|_mma_|wgmma|s\d+gmma", _kernel(Family.PRODUCT)),
    )
)  # fmt: skip

_ENDING = frozenset({Family.CONVOLUTION, Family.PRODUCT})
#: What a product's or convolution's kernel does in the end, by a word in its name. cuDNN generates kernels for whole
#: chains and does not say which.
_ENDINGS = (
    ("relu", frozenset({"clamp"})),
    ("gelu", frozenset({"gelu"})),
    ("silu", frozenset({"swish"})),
    ("cudnn_generated_fort", frozenset({"clamp", "add", "gelu", "swish", "sigmoid"})),
)

_CASTS = re.compile(r"LoadWithCast|(bfloat16|float16|float8)\w*_copy_kernel|convert_element|castKernel", re.IGNORECASE)
_COPIES = re.compile(r"copy_kernel|copy_device|direct_copy|\bcopy", re.IGNORECASE)
_FILLS = re.compile(r"FillFunctor|fill_kernel|arange|zero_kernel", re.IGNORECASE)

#: The functor's name within an elementwise kernel's template arguments.
_FUNCTOR = re.compile(
    r"CUDAFunctor(?:OnSelf)?_(?P<cuda>[a-z]+)|(?:::|\b)(?P<plain>[a-z0-9_]+?)_(?:scalar_)?kernel_(?:cuda|impl)"
    r"|launch_(?P<launch>clamp)_scalar|(?P<camel>[A-Za-z]+)CUDAKernelImpl|(?P<binary>[A-Z][a-z]+)Functor\b"
    r"|(?:::|\b)(?P<kernel>[a-z0-9_]+?)_kernel\b"
)
_GENERIC = frozenset({
    "binary", "unary", "aunary", "bunary", "elementwise", "vectorized_elementwise", "unrolled_elementwise", "gpu",
    "opmath", "fill",
})  # fmt: skip

#: Inductor lists in a kernel's name what it fused: pointwise, per-row and reduction kernels, and templates of products.
_INDUCTOR = re.compile(r"(?:^|_)(?:triton_(?P<kind>[a-z]+)|cpp)_fused_(?P<functions>\w+?)_?\d*$")
_TEMPLATES = (
    ("convolution", Family.CONVOLUTION), ("attention", Family.ATTENTION), ("mm", Family.PRODUCT),
)  # fmt: skip
#: What Inductor calls the functions in a fused kernel's name, with what they are here.
_INDUCTOR_FUNCTIONS = (
    ("_native_batch_norm_legit_no_training", "batch"), ("native_layer_norm", "layer"), ("native_group_norm", "group"),
    ("max_pool2d_with_indices", "max"), ("adaptive_avg_pool2d", "average"), ("avg_pool2d", "average"),
    ("_softmax", "softmax"), ("softmax", "softmax"),
    ("hardtanh", "clamp"), ("clamp_min", "clamp"), ("clamp", "clamp"), ("leaky_relu", "leakyrelu"), ("relu", "clamp"),
    ("hardswish", "hardswish"), ("hardsigmoid", "hardsigmoid"), ("sigmoid", "sigmoid"), ("silu", "swish"),
    ("gelu", "gelu"), ("embedding", "gather"), ("gather", "gather"), ("clone", "copy"), ("permute", "copy"),
    ("transpose", "copy"), ("cat", "concat"), ("mean", "average"), ("sum", "sum_over"), ("add", "add"), ("sub", "add"),
    ("mul", "mul"), ("div", "mul"), ("rsqrt", "rms"), ("tanh", "tanh"), ("erf", "gelu"), ("pow", "pow"),
    ("where", "where"), ("constant_pad_nd", "pad"), ("_to_copy", "copy"), ("copy", "copy"),
)  # fmt: skip


def kernel(name: str) -> Kernel:
    """What the kernel of this name does; ``OTHER`` where the name does not tell."""
    return _kernel_of(name[:_LONGEST_NAME])


@lru_cache(maxsize=16384)
def _kernel_of(name: str) -> Kernel:
    fused = _INDUCTOR.search(name)
    if fused is not None:
        return _inductor(fused["kind"] or "", fused["functions"])
    if "elementwise_kernel" in name and "calc_invstd" not in name and "index_elementwise" not in name:
        return _elementwise(name)
    for pattern, found in _RULES:
        if pattern.search(name):
            ends = (functions for word, functions in _ENDINGS if word in name.lower())
            return replace(found, functions=found.functions.union(*ends)) if found.family in _ENDING else found
    return Kernel(Family.OTHER)


def _inductor(kind: str, functions: str) -> Kernel:
    family = Family.POINTWISE
    if kind == "tem":
        family = next((each for word, each in _TEMPLATES if word in functions), Family.OTHER)
    functions = functions.replace("addmm", "").replace("addbmm", "")  # no addition of its own
    found = set()
    for word, function in _INDUCTOR_FUNCTIONS:
        if word in functions:
            found.add(function)
            functions = functions.replace(word, "")
    # A product in the name says whose result is read; alone, that its bias is added.
    return Kernel(family, frozenset(found or {"bias"}), purpose="copy" if found == {"copy"} else "")


def _elementwise(name: str) -> Kernel:
    if _FILLS.search(name):
        return _kernel(_MOVED, "fill", purpose="fill")
    if _COPIES.search(name):
        moved = "cast" if _CASTS.search(name) else "copy"
        return _kernel(_MOVED, moved, purpose=moved)
    for match in _FUNCTOR.finditer(name):
        function = next(group for group in match.groups() if group).lower()
        if function not in _GENERIC:
            return _kernel(Family.POINTWISE, canonical(function))
    return _kernel(Family.POINTWISE)
