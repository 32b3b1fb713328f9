"""Recurrent stacks in PyTorch, from parameters in PyTorch's form or in ONNX's."""

from __future__ import annotations

import torch
from torch import Tensor

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Recurrent
from headroom.measure.backends.torch_ops.binding import Step, Tensors
from headroom.measure.bench import UnsupportedError

Shape = tuple[int, ...]


def bind(layer: Layer, constants: Tensors) -> Step:
    """The stack as PyTorch's own module, its parameters packed into one buffer beforehand as cuDNN wants them."""
    work = layer.work
    assert isinstance(work, Recurrent)
    if not layer.weights:
        raise UnsupportedError("the recurrent layer's weights are computed at run time")
    data, batch_first = sequence_of(layer, work)
    module = filled_stack(layer, work, batch_first, constants)
    outputs = layer.outputs

    def run(tensors: Tensors) -> tuple[Tensor, ...]:
        source = tensors[data.name]
        if source.dim() == 2:
            source = source.unsqueeze(0 if batch_first else 1)
        with torch.no_grad():
            sequence, state = module(source)
        states = state if isinstance(state, tuple) else (state,)
        return tuple(shaped(value, spec, work) for value, spec in zip((sequence, *states), outputs, strict=False))

    return run


def filled_stack(layer: Layer, work: Recurrent, batch_first: bool, constants: Tensors) -> torch.nn.RNNBase:
    """PyTorch's module of the layer, holding its constants."""
    module = _module(work, batch_first, constants[layer.weights[0].name])
    _fill(module, work, layer.weights, constants)
    return module


def sequence_of(layer: Layer, work: Recurrent) -> tuple[TensorSpec, bool]:
    """The sequence, and whether its batch comes first."""
    for operand in layer.inputs:
        if operand.element != FLOATING:
            continue
        if operand.shape == (work.length, work.batch, work.input_size):
            return operand, False
        if operand.shape == (work.batch, work.length, work.input_size):
            return operand, True
        if operand.shape == (work.length, work.input_size) and work.batch == 1:
            return operand, False
        if operand.shape == (work.batch, work.input_size) and work.length == 1:
            return operand, False
    raise UnsupportedError("no operand of the recurrent layer is its sequence")


def _module(work: Recurrent, batch_first: bool, like: Tensor) -> torch.nn.RNNBase:
    kinds = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    options = {"proj_size": work.projection} if work.projection else {}
    module = kinds[work.cell](
        work.input_size,
        work.hidden_size,
        work.layers,
        batch_first=batch_first,
        bidirectional=work.directions == 2,
        device=like.device,
        dtype=like.dtype,
        **options,
    )
    return module.eval()


def _fill(module: torch.nn.RNNBase, work: Recurrent, weights: tuple[TensorSpec, ...], constants: Tensors) -> None:
    """Copy each parameter of the module from a constant of its shape; biases that the layer lacks are zero.

    ONNX joins the directions of a layer in one tensor and both biases in one row, and orders the gates in its own
    way; the order of the gates changes no time and the reference uses the same.
    """
    pool: dict[Shape, list[Tensor]] = {}
    for spec in weights:
        for part in _parts(constants[spec.name], work):
            pool.setdefault(tuple(part.shape), []).append(part)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            found = pool.get(tuple(parameter.shape))
            if found:
                parameter.copy_(found.pop(0))
            elif name.startswith("bias"):
                parameter.zero_()
            else:
                raise UnsupportedError(f"the recurrent layer has no weight of the form {tuple(parameter.shape)}")
    module.flatten_parameters()


def _parts(weight: Tensor, work: Recurrent) -> list[Tensor]:
    """A constant as PyTorch would hold it: one tensor per direction, biases of input and state apart."""
    gates = work.GATES[work.cell] * work.hidden_size
    if weight.dim() == 3 and weight.shape[0] == work.directions:
        return list(weight.unbind(0))
    if weight.dim() == 2 and tuple(weight.shape) == (work.directions, 2 * gates):
        return [half for direction in weight.unbind(0) for half in direction.split(gates)]
    return [weight]


def shaped(value: Tensor, spec: TensorSpec, work: Recurrent) -> Tensor:
    """ONNX keeps the directions apart: (length, directions, batch, state)."""
    if tuple(value.shape) == spec.shape:
        return value
    apart = (work.length, work.directions, work.batch, work.state_size)
    if spec.shape == apart and value.dim() == 3:
        return value.reshape(work.length, work.batch, work.directions, work.state_size).transpose(1, 2)
    return value.reshape(spec.shape)
