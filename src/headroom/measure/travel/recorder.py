"""A stand-in for cuDNN's frontend that writes down what is drawn: no library, no GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

from headroom.measure.backends.geometry.frame import Shape, strides_of
from headroom.measure.bench import UnsupportedError
from headroom.measure.travel.case import Fill, Operation

#: What each operation calls the tensors that it reads, in the order in which they are written down.
_READS = {
    "conv_fprop": ("image", "weight"),
    "conv_dgrad": ("loss", "filter"),
    "conv_wgrad": ("image", "loss"),
    "layernorm": ("input", "scale", "bias", "epsilon"),
    "rmsnorm": ("input", "scale", "epsilon"),
    "instancenorm": ("input", "scale", "bias", "epsilon"),
    "relu_backward": ("loss", "input"),
    "gelu_backward": ("loss", "input"),
    "gelu_approx_tanh_backward": ("loss", "input"),
}

#: Operations of one result whose tensors stand in order.
_PLAIN = frozenset(
    {
        "abs", "add", "ceil", "cos", "div", "elu", "erf", "exp", "floor", "gelu", "gelu_approx_tanh", "log", "matmul",
        "max", "min", "mul", "neg", "reciprocal", "relu", "rsqrt", "sdpa", "sigmoid", "sin", "softplus", "sqrt", "sub",
        "swish", "tan", "tanh",
    }
)  # fmt: skip

#: Operations that the frontend gives several results of, of which the first is the one.
_OF_SEVERAL = frozenset({"layernorm", "rmsnorm", "instancenorm", "sdpa"})


@dataclass(eq=False)
class Drawn:
    """A tensor as it is drawn; the frontend's own have setters that return themselves, and so has this."""

    uid: int
    type: str
    dims: Shape
    strides: Shape
    fill: Fill

    def get_uid(self) -> int:
        return self.uid

    def set_output(self, value: bool) -> Self:
        return self

    def set_data_type(self, value: str) -> Self:
        self.type = value
        return self

    def set_dim(self, value: Sequence[int]) -> Self:
        self.dims = tuple(value)
        return self

    def set_stride(self, value: Sequence[int]) -> Self:
        self.strides = tuple(value)
        return self


class RecordedGraph:
    """A graph of the frontend, written down."""

    def __init__(self, io_data_type: str) -> None:
        self._type = io_data_type
        self.tensors: list[Drawn] = []
        self.operations: list[Operation] = []

    def tensor(self, dim: Sequence[int], stride: Sequence[int], data_type: str, name: str) -> Drawn:
        return self._drawn(data_type, tuple(dim), tuple(stride), Fill("normal", 1.0))

    def tensor_scalar(self, value: float, kind: str) -> Drawn:
        return self._drawn("fp32", (1, 1, 1, 1), (1, 1, 1, 1), Fill("number", float(value)))

    def __getattr__(self, name: str) -> Any:
        if name not in _READS and name not in _PLAIN:
            raise UnsupportedError(f"benchmarks that travel have no operation {name}")
        return lambda *tensors, **named: self._record(name, tensors, named)

    def _record(self, name: str, tensors: tuple[Drawn, ...], named: dict[str, Any]) -> Any:
        reads = [*tensors, *(named.pop(key) for key in _READS.get(name, ()) if key in named)]
        if isinstance(named.get("bias"), Drawn):  # attention's mask
            reads.append(named.pop("bias"))
        dims = _result_dims(name, [tensor.dims for tensor in reads])
        result = self._drawn(self._type, dims, strides_of(dims, ""), Fill("nothing"))
        numbers = tuple(
            (key, _numbers(value)) for key, value in named.items() if value is not False and not isinstance(value, str)
        )
        self.operations.append(Operation(name, tuple(tensor.uid for tensor in reads), result.uid, numbers))
        return (result, None) if name in _OF_SEVERAL else result

    def _drawn(self, kind: str, dims: Shape, strides: Shape, fill: Fill) -> Drawn:
        drawn = Drawn(len(self.tensors) + 1, kind, dims, strides, fill)
        self.tensors.append(drawn)
        return drawn


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value * 1,)


def _result_dims(name: str, reads: Sequence[Shape]) -> Shape:
    """Dimensions of what an operation gives, where nobody sets them afterwards."""
    first = reads[0]
    if name == "matmul":
        return (max(first[0], reads[1][0]), first[1], reads[1][2])
    if name == "sdpa":
        return (*first[:3], reads[2][3])
    if name.startswith("conv_") or name in _OF_SEVERAL:
        return first
    rank = max(map(len, reads))
    return tuple(max(dims[i - rank] if rank - i <= len(dims) else 1 for dims in reads) for i in range(rank))


def recorder() -> SimpleNamespace:
    """What the frontend's module has of names that describing a chain needs; types are data types' names."""
    return SimpleNamespace(
        data_type=SimpleNamespace(FLOAT="fp32", HALF="fp16", BFLOAT16="bf16", FP8_E4M3="fp8"),
        scalar_type=SimpleNamespace(RUNTIME_PARAM="runtime"),
        norm_forward_phase=SimpleNamespace(INFERENCE="inference"),
        pygraph=lambda io_data_type, **options: RecordedGraph(io_data_type),
    )
