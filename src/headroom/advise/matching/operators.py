"""What the operators of PyTorch and ONNX do, by their names. An operator that is not here is looked into."""

from __future__ import annotations

from functools import lru_cache

from headroom.advise.matching.functions import canonical
from headroom.advise.matching.signature import Family

_NAMES: dict[Family, tuple[str, ...]] = {
    Family.CONVOLUTION: (
        "conv1d", "conv2d", "conv3d", "convolution", "_convolution", "conv_transpose1d", "conv_transpose2d",
        "conv_transpose3d", "cudnn_convolution", "cudnn_convolution_relu", "cudnn_convolution_add_relu",
        "cudnn_convolution_transpose", "_conv_depthwise2d", "conv_depthwise3d", "_slow_conv2d_forward",
        "conv", "convtranspose", "fusedconv", "nhwcconv", "nhwcfusedconv",
    ),
    Family.PRODUCT: (
        "linear", "addmm", "_addmm_activation", "mm", "bmm", "baddbmm", "addbmm", "matmul", "mv", "addmv", "dot",
        "_scaled_mm", "_int_mm", "gemm", "fusedgemm", "fusedmatmul", "transposematmul", "matmulnbits",
    ),
    Family.ATTENTION: (
        "scaled_dot_product_attention", "_flash_attn_forward",
        "multiheadattention", "attention", "packedattention", "groupqueryattention",
    ),
    Family.RECURRENT: ("lstm", "gru", "rnn_tanh", "rnn_relu", "_cudnn_rnn", "rnn"),
    Family.NORMALIZATION: (
        "batch_norm", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training", "layer_norm", "native_layer_norm", "group_norm",
        "native_group_norm", "instance_norm", "rms_norm", "_fused_rms_norm", "batchnormalization",
        "layernormalization", "skiplayernormalization", "embedlayernormalization", "groupnorm",
        "instancenormalization", "simplifiedlayernormalization", "skipsimplifiedlayernormalization", "lrn",
    ),
    Family.POOLING: (
        "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d",
        "adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool3d",
        "adaptive_max_pool2d", "maxpool", "averagepool", "globalaveragepool", "globalmaxpool", "nhwcmaxpool",
    ),
    Family.SOFTMAX: ("softmax", "_softmax", "log_softmax", "_log_softmax", "biassoftmax", "logsoftmax"),
    Family.POINTWISE: (
        "relu", "relu6", "clamp", "clamp_min", "clamp_max", "clip", "hardtanh", "threshold", "gelu", "silu",
        "sigmoid", "tanh", "hardswish", "hardsigmoid", "leaky_relu", "leakyrelu", "elu", "selu", "celu", "mish",
        "softplus", "prelu", "fastgelu", "biasgelu", "quickgelu", "log_sigmoid", "softsign", "glu", "add", "sub",
        "rsub", "mul", "div", "true_divide", "pow", "sqrt", "rsqrt", "reciprocal", "exp", "log", "erf", "neg",
        "abs", "maximum", "minimum", "max", "min", "where", "masked_fill", "isnan", "eq", "ne", "lt", "le", "gt",
        "ge", "logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_not", "bitwise_or", "sin", "cos",
        "floor", "round", "square", "addcmul", "lerp", "sign", "not", "and", "or", "equal", "greater", "less",
    ),
    Family.REDUCTION: (
        "mean", "sum", "amax", "amin", "prod", "var", "std", "norm", "linalg_vector_norm", "all", "any", "argmax",
        "cumsum", "reducemean", "reducesum", "reducemax", "reducemin", "reducel2",
    ),
    Family.MOVEMENT: (
        "cat", "concat", "stack", "copy", "contiguous", "clone", "_to_copy", "to", "cast", "constant_pad_nd", "pad",
        "index", "index_select", "gather", "gather_nd", "gathernd", "repeat", "roll", "flip", "tile", "expand",
        "transpose", "slice", "split", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "im2col", "col2im",
        "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "resize", "scatter", "scatter_nd",
        "masked_select", "fill", "zero", "reflection_pad2d", "replication_pad2d", "depthtospace", "reshape",
        "memcpytohost", "memcpyfromhost", "reorderinput", "reorderoutput",
    ),
    Family.EMBEDDING: ("embedding", "embedding_bag"),
}  # fmt: skip

_FAMILIES = {name: family for family, names in _NAMES.items() for name in names}

#: PyTorch's implementations of attention, one for each kind of kernel and device.
_ATTENTION = "_scaled_dot_product"

#: What the functions of whole families are called in a graph, by a word in the operator's name.
_WORDS = {
    Family.NORMALIZATION: (
        ("batch", "batch"), ("group", "group"), ("instance", "instance"), ("rms", "rms"), ("simplified", "rms"),
        ("layer", "layer"), ("lrn", "local_response"),
    ),
    Family.POOLING: (("max", "max"), ("av", "average")),
    Family.SOFTMAX: (("softmax", "softmax"),),
}  # fmt: skip

#: What a framework's fused operator does besides, by a word in its name.
_EPILOGUES = (
    ("relu", ("clamp",)), ("_add_", ("add",)), ("skip", ("add",)), ("gelu", ("gelu",)),
    ("activation", ("clamp", "gelu")),
)  # fmt: skip

#: What ONNX Runtime lets a convolution or product do in the end, without a word in its name.
_SILENT = frozenset({"clamp", "leakyrelu", "sigmoid", "tanh", "hardsigmoid"})


@lru_cache(maxsize=16384)
def operator(name: str) -> tuple[Family, frozenset[str]] | None:
    """The family and the canonical functions of an operator, ``None`` for one that is not known."""
    plain = name.rsplit("::", 1)[-1].rsplit(".", 1)[-1].lower().rstrip("_")
    family = Family.ATTENTION if plain.startswith(_ATTENTION) else _FAMILIES.get(plain)
    if family is None:
        return None
    if family.multiplies or family is Family.NORMALIZATION:
        extra = {function for word, functions in _EPILOGUES if word in plain for function in functions}
        if family.multiplies and "::" not in name:
            extra |= _SILENT
        own = {function for word, function in _WORDS.get(family, ()) if word in plain}
        return family, frozenset((own and {min(own)}) or ()) | frozenset(extra)
    if family in _WORDS:
        return family, frozenset(next(({function} for word, function in _WORDS[family] if word in plain), set()))
    if family is Family.REDUCTION:
        return family, frozenset({canonical(f"reduce{plain}" if plain in ("mean", "sum", "max") else plain)})
    return family, frozenset({canonical(plain.lstrip("_"))})
