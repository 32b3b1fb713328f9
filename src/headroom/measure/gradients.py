"""What a layer's backward pass runs: the gradients of convolutions and matrix products, as layers of their own."""

from __future__ import annotations

from dataclasses import replace

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Matmul
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import convolution_roles, product_roles

#: What ``--direction`` may ask for, and the passes that each stands for.
DIRECTIONS = {
    "forward": ("forward",),
    "dgrad": ("dgrad",),
    "wgrad": ("wgrad",),
    "training": ("forward", "dgrad", "wgrad"),
}


def gradient(layer: Layer, direction: str) -> Layer | None:
    """The layer that computes one gradient of ``layer``: of its data (``dgrad``) or of its weight (``wgrad``).

    ``None`` where the layer is no convolution, transposed convolution or matrix product.
    """
    plain = Chain.of([layer]).anchor
    try:
        match layer.work:
            case Convolution(direction="forward"):
                return _convolution_gradient(plain, layer.work, direction)
            case Convolution(direction="dgrad"):
                return _transposed_gradient(plain, layer.work, direction)
            case Matmul():
                return _product_gradient(plain, layer.work, direction)
    except UnsupportedError:
        pass  # its operands stand in an order that no library multiplies, forward or backward
    return None


def _convolution_gradient(layer: Layer, work: Convolution, direction: str) -> Layer:
    roles = convolution_roles(layer)
    operands = {tensor.name: tensor for tensor in (*layer.inputs, *layer.weights)}
    data, kernel, out = operands[roles.data], operands[roles.filter], layer.outputs[0]
    if direction == "wgrad":
        return replace(layer, work=replace(work, direction="wgrad"), inputs=(data, out), weights=(), outputs=(kernel,))
    return replace(layer, work=_reversed(work, "dgrad"), inputs=(out,), weights=(kernel,), outputs=(data,))


def _transposed_gradient(layer: Layer, work: Convolution, direction: str) -> Layer:
    """A transposed convolution is the input gradient of a convolution that reads what it writes. Its own input gradient
    is that convolution, forward; its weight gradient is that convolution's, whose image is the gradient that comes in.
    """
    roles = convolution_roles(layer)
    operands = {tensor.name: tensor for tensor in (*layer.inputs, *layer.weights)}
    data, kernel, out = operands[roles.data], operands[roles.filter], layer.outputs[0]
    if direction == "wgrad":
        return replace(layer, work=_reversed(work, "wgrad"), inputs=(out, data), weights=(), outputs=(kernel,))
    return replace(layer, work=_reversed(work, "forward"), inputs=(out,), weights=(kernel,), outputs=(data,))


def _reversed(work: Convolution, direction: str) -> Convolution:
    """The convolution that reads what ``work`` writes: sizes and channels change places."""
    return replace(
        work,
        direction=direction,
        in_channels=work.out_channels,
        out_channels=work.in_channels,
        in_size=work.out_size,
        out_size=work.in_size,
    )


def _product_gradient(layer: Layer, work: Matmul, direction: str) -> Layer:
    """``dA = dC B^T`` and ``dB = A^T dC``: a single product as matrices, a batch of them in the model's shapes."""
    roles = product_roles(layer)
    operands = {tensor.name: tensor for tensor in (*layer.inputs, *layer.weights)}
    left, right, out = operands[roles.left], operands[roles.right], layer.outputs[0]
    if work.batch == 1:
        left, out = _as_matrix(left, work.m, work.k), _as_matrix(out, work.m, work.n)
    if direction == "dgrad":
        product = Matmul(work.m, work.k, work.n, work.batch)
        return replace(layer, work=product, inputs=(out, right), weights=(), outputs=(left,))
    product = Matmul(work.k, work.n, work.m, work.batch)
    if work.batch == 1:
        right = _as_matrix(right, work.k, work.n)
    return replace(layer, work=product, inputs=(left, out), weights=(), outputs=(right,))


def _as_matrix(tensor: TensorSpec, rows: int, columns: int) -> TensorSpec:
    return replace(tensor, shape=(rows, columns))
