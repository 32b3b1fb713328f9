"""A library call that Benanza timed: function, algorithm and sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from headroom.errors import ModelError
from headroom.graph.tensor import DataType
from headroom.store.benanza.table import Row
from headroom.text import plain_line

#: cuDNN's algorithms for a forward convolution, in the order of its enumeration: what it advises is told by number.
CONVOLUTION_ALGORITHMS = (
    "IMPLICIT_GEMM", "IMPLICIT_PRECOMP_GEMM", "GEMM", "DIRECT", "FFT", "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED",
)  # fmt: skip

_RELUS = ("ACTIVATION_RELU", "ACTIVATION_CLIPPED_RELU")
_FUSED = (*_RELUS, "ACTIVATION_IDENTITY")

#: Every function and the algorithms it may name.
ALGORITHMS: dict[str, tuple[str, ...]] = {
    "CONV_FWD": CONVOLUTION_ALGORITHMS,
    "CONV_BIAS_ACTIVATION_FWD": tuple(f"{each}, {last}" for each in CONVOLUTION_ALGORITHMS for last in _FUSED),
    "ACTIVATION_FWD": _RELUS,
    "BATCHNORM_FWD_INFERENCE": ("BATCHNORM_SPATIAL", "BATCHNORM_PER_ACTIVATION"),
    "POOLING_FWD": (
        "POOLING_MAX", "POOLING_MAX_DETERMINISTIC", "POOLING_AVERAGE_COUNT_INCLUDE_PADDING",
        "POOLING_AVERAGE_COUNT_EXCLUDE_PADDING",
    ),
    "SOFTMAX_FWD": ("SOFTMAX_FAST, SOFTMAX_MODE_CHANNEL", "SOFTMAX_FAST, SOFTMAX_MODE_INSTANCE"),
    "ADD_TENSOR": ("",),
    "OP_TENSOR_ADD_FWD": ("",),
    "OP_TENSOR_MUL_FWD": ("",),
    "DROPOUT_FWD": ("",),
    "GEMM_FWD": ("",),
    "GEMV_FWD": ("",),
}  # fmt: skip

#: Data types as Benanza spells them, with the type that products are rounded in.
_DTYPES = {
    "FLOAT32": (DataType.FP32, "fp32"),
    "FLOAT16": (DataType.FP16, "fp16"),
    "TENSORCOREHALF": (DataType.FP16, "fp16"),
}

_PREFIX = re.compile(r"CU(?:DNN|BLAS)_(?:CONVOLUTION_FWD_ALGO_)?")


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``sizes`` are those of the tensor that it reads (``-1`` dropped), or (m, n, k) of a matrix product.

    ``filters``, ``padding``, ``stride``, ``dilation`` are (height, width), ``padding`` the same on both sides;
    ``transposed`` says that the second matrix is stored as (n, k), ``adds`` that the product is added to the output.
    """

    function: str
    algorithm: str
    dtype: DataType
    math: str
    sizes: tuple[int, ...]
    channels_out: int = 0
    filters: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    transposed: bool = False
    adds: bool = False

    @property
    def library(self) -> str:
        return "cublas" if self.function in ("GEMM_FWD", "GEMV_FWD") else "cudnn"

    @property
    def name(self) -> str:
        """What tells it from other ways to do the same: the algorithm, or the function where there is no choice."""
        return self.algorithm or self.function.removesuffix("_FWD")

    @property
    def batch(self) -> int:
        """Samples per call; a batch that Benanza's own shape inference lost on the way shows here as 1."""
        return self.sizes[0]

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width of what a convolution or a pooling writes, as cuDNN rounds them: down."""
        height, width = (
            (size + 2 * pad - dilation * (extent - 1) - 1) // stride + 1
            for size, pad, dilation, extent, stride in zip(
                self.sizes[2:], self.padding, self.dilation, self.filters, self.stride, strict=True
            )
        )
        return height, width


def call_of(row: Row) -> Call:
    """The call that a row of ``kernels`` or ``conv_algos`` describes.

    Raises:
        ModelError: an unknown function, algorithm or data type, or sizes that do not fit together.
    """
    function, algorithm = _PREFIX.sub("", row.text("op")), _PREFIX.sub("", row.text("algo"))
    if function not in ALGORITHMS:
        raise row.error("op", "a function of cuDNN or cuBLAS that Benanza times")
    if algorithm not in ALGORITHMS[function]:
        raise row.error("algo", f"an algorithm of {function}" if ALGORITHMS[function] != ("",) else "nothing")
    if row.text("dtype") not in _DTYPES:
        raise row.error("dtype", f"one of {', '.join(_DTYPES)}")
    dtype, math = _DTYPES[row.text("dtype")]
    if function in ("GEMM_FWD", "GEMV_FWD"):
        return _product(row, function, dtype, math)
    sizes = tuple(size for size in (row.whole(axis, -1) for axis in "NCHW") if size != -1)
    if 0 in sizes or len(sizes) < 2:
        raise row.error("N", "sizes of at least 1")
    call = Call(function, algorithm, dtype, math, sizes)
    return _windowed(row, call) if function in ("CONV_FWD", "CONV_BIAS_ACTIVATION_FWD", "POOLING_FWD") else call


def _windowed(row: Row, call: Call) -> Call:
    pools = call.function == "POOLING_FWD"
    found = Call(
        call.function, call.algorithm, call.dtype, call.math, call.sizes,
        channels_out=call.sizes[1] if pools else row.whole("K", 1),
        filters=(row.whole("R", 1), row.whole("S", 1)),
        padding=(row.whole("pad_h"), row.whole("pad_w")),
        stride=(row.whole("stride_h", 1), row.whole("stride_w", 1)),
        dilation=(1, 1) if pools else (row.whole("dil_h", 1), row.whole("dil_w", 1)),
        groups=1 if pools else row.whole("group", 1),
    )  # fmt: skip
    if len(call.sizes) != 4 or min(found.out_size) < 1:
        raise row.error("R", "a window that fits into the input")
    if call.sizes[1] % found.groups or found.channels_out % found.groups:
        raise row.error("group", "a divisor of both numbers of channels")
    return found


def _product(row: Row, function: str, dtype: DataType, math: str) -> Call:
    """cuBLAS's arguments stand in the columns of sizes, and go on in ``other``.

    ``gemm`` is told as m, n, k, transpose of either matrix, alpha and beta; ``gemv`` as rows and columns of its matrix,
    whether that is transposed, alpha and beta.
    """
    other = dict(re.findall(r"input\[(\d)\]=(-?\d+)", row.text("other")))
    try:
        if function == "GEMM_FWD":
            sizes = row.whole("N", 1), row.whole("C", 1), row.whole("H", 1)
            transposed, adds = other["4"] == "1", other["6"] == "1"
        else:
            sizes = 1, row.whole("N", 1), row.whole("C", 1)
            transposed, adds = row.whole("H", 0, 1) == 1, other["4"] == "1"
    except KeyError as error:
        found = plain_line(row.text("other"), 60)
        raise ModelError(f"{row.place}: other is '{found}', expected input[4] to input[7]") from error
    return Call(function, "", dtype, math, sizes, transposed=transposed, adds=adds)
