"""Which of Headroom's layers a call of Benanza's runs, as the readers of models would describe them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Elementwise, Free, Matmul, Normalization, Pooling, Softmax, Work
from headroom.store.benanza.call import Call


@cache
def chains_of(call: Call) -> tuple[Chain, ...]:
    """The chains that ``call`` runs, the first being the one to find it by; two where two operators are the same work.

    cuDNN's ``OpTensor`` was timed on two tensors of equal shape, ``AddTensor`` on a tensor and one value per channel.
    """
    return _CHAINS[call.function](call)


def biased(convolution: Call) -> Chain:
    """The chain of a convolution with bias, which Benanza runs as two calls, ``convolution`` and ``AddTensor``."""
    return Chain.of([_convolution_layer(convolution, biased=True)])


def written_shape(convolution: Call) -> tuple[int, ...]:
    return (convolution.batch, convolution.channels_out, *convolution.out_size)


def _convolution(call: Call) -> tuple[Chain, ...]:
    return (Chain.of([_convolution_layer(call, biased=False)]),)


def _fused_convolution(call: Call) -> tuple[Chain, ...]:
    first = _convolution_layer(call, biased=True)
    if call.algorithm.endswith("IDENTITY"):
        return (Chain.of([first]),)
    return (Chain.of([first, _relu_layer(first.outputs[0], "z")]),)


def _convolution_layer(call: Call, *, biased: bool) -> Layer:
    (pad_h, pad_w), out = call.padding, written_shape(call)
    work = Convolution(
        batch=call.batch,
        in_channels=call.sizes[1],
        out_channels=call.channels_out,
        in_size=call.sizes[2:],
        out_size=call.out_size,
        kernel=call.filters,
        stride=call.stride,
        padding=((pad_h, pad_h), (pad_w, pad_w)),
        dilation=call.dilation,
        groups=call.groups,
    )
    filters = (call.channels_out, call.sizes[1] // call.groups, *call.filters)
    return _layer(work, [call.sizes], [filters, (call.channels_out,)] if biased else [filters], out)


def _relu(call: Call) -> tuple[Chain, ...]:
    return (Chain.of([_relu_layer(TensorSpec("x0", call.sizes), "y")]),)


def _relu_layer(read: TensorSpec, written: str) -> Layer:
    work = Elementwise("relu", read.elements, activation=True)
    return Layer("", "", work, (read,), (), (TensorSpec(written, read.shape),))


def _batch_norm(call: Call) -> tuple[Chain, ...]:
    constants = [call.sizes[1:2]] * 4
    return (Chain.of([_layer(Normalization("batch", _elements(call)), [call.sizes], constants, call.sizes)]),)


def _pooling(call: Call) -> tuple[Chain, ...]:
    out = (*call.sizes[:2], *call.out_size)
    # Benanza takes the fastest of all modes for every pooling layer; a row counts for what its mode computes.
    function = "average" if "AVERAGE" in call.algorithm else "max"
    work = Pooling(function, math.prod(out), call.filters, call.stride)
    return (Chain.of([_layer(work, [call.sizes], [], out)]),)


def _softmax(call: Call) -> tuple[Chain, ...]:
    channels = call.sizes[1]
    work = Softmax(_elements(call) // channels, channels)
    return (Chain.of([_layer(work, [call.sizes], [], call.sizes)]),)


def _bias(call: Call) -> tuple[Chain, ...]:
    per_channel = (call.sizes[1], *(1 for _ in call.sizes[2:]))
    return (_elementwise(call, "add", [call.sizes], [per_channel]),)


def _addition(call: Call) -> tuple[Chain, ...]:
    return tuple(_elementwise(call, function, [call.sizes] * 2, []) for function in ("add", "sum"))


def _product(call: Call) -> tuple[Chain, ...]:
    return (_elementwise(call, "mul", [call.sizes] * 2, []),)


def _elementwise(
    call: Call, function: str, inputs: Sequence[tuple[int, ...]], weights: Sequence[tuple[int, ...]]
) -> Chain:
    return Chain.of([_layer(Elementwise(function, _elements(call)), inputs, weights, call.sizes)])


def _dropout(call: Call) -> tuple[Chain, ...]:
    # At inference it is free, so that no model asks for this row; Benanza's totals have it in.
    return (Chain.of([_layer(Free("dropout"), [call.sizes], [], call.sizes)]),)


def _matmul(call: Call) -> tuple[Chain, ...]:
    m, n, k = call.sizes
    weights: list[tuple[int, ...]] = [(n, k) if call.transposed else (k, n)]
    if call.adds:
        weights.append((n,))
    return (Chain.of([_layer(Matmul(m, n, k), [(m, k)], weights, (m, n))]),)


def _layer(
    work: Work, inputs: Sequence[tuple[int, ...]], weights: Sequence[tuple[int, ...]], out: tuple[int, ...]
) -> Layer:
    return Layer("", "", work, _tensors("x", inputs), _tensors("w", weights), (TensorSpec("y", out),))


def _tensors(prefix: str, shapes: Sequence[tuple[int, ...]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(f"{prefix}{index}", shape) for index, shape in enumerate(shapes))


def _elements(call: Call) -> int:
    return math.prod(call.sizes)


_CHAINS: dict[str, Callable[[Call], tuple[Chain, ...]]] = {
    "CONV_FWD": _convolution,
    "CONV_BIAS_ACTIVATION_FWD": _fused_convolution,
    "ACTIVATION_FWD": _relu,
    "BATCHNORM_FWD_INFERENCE": _batch_norm,
    "POOLING_FWD": _pooling,
    "SOFTMAX_FWD": _softmax,
    "ADD_TENSOR": _bias,
    "OP_TENSOR_ADD_FWD": _addition,
    "OP_TENSOR_MUL_FWD": _product,
    "DROPOUT_FWD": _dropout,
    "GEMM_FWD": _matmul,
    "GEMV_FWD": _matmul,
}
