"""Recurrent layers by ``cudnnRNNForward``, with each of its algorithms."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headroom.graph.tensor import DataType
from headroom.graph.work import Recurrent
from headroom.measure.backends.legacy.library import FLOAT, STORED, Descriptor, ints, library
from headroom.measure.bench import Operands, UnsupportedError
from headroom.measure.task import Task

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import RNNBase

#: ``cudnnRNNAlgo_t``. Persistent ones keep the recurrent weights on the chip; the dynamic one is compiled for a batch.
ALGORITHMS = {"standard": 0, "persist static": 1, "persist dynamic": 2, "persist static small h": 3}

# CUDNN_RNN_TANH, CUDNN_GRU, CUDNN_LSTM
_CELLS = {"rnn": 1, "gru": 3, "lstm": 2}

# CUDNN_FMA_MATH for strict fp32; CUDNN_DEFAULT_MATH, which is tf32 on fp32 operands; CUDNN_TENSOR_OP_MATH.
_MATH = {DataType.FP32: 3, DataType.TF32: 0, DataType.FP16: 1, DataType.BF16: 1}

_DOUBLE_BIAS, _LINEAR_INPUT, _PADDED_IO, _INFERENCE = 2, 0, 1, 0

_SEQUENCE_MAJOR, _BATCH_MAJOR = 0, 2


class RecurrentProgram:
    """A stack of recurrent layers with its packed weights, workspace and outputs."""

    def __init__(self, algorithm: str, task: Task, operands: Operands) -> None:
        """
        Raises:
            UnsupportedError: the library declines, or the layer's operands are in no form it takes.
        """
        import torch

        from headroom.measure.backends.torch_ops.recurrent import filled_stack, sequence_of, shaped

        layer = task.chain.anchor
        work = layer.work
        assert isinstance(work, Recurrent)
        self._layer, self._work, self._shaped = layer, work, shaped
        if not layer.weights:
            raise UnsupportedError("the recurrent layer's weights are computed at run time")
        data, batch_first = sequence_of(layer, work)
        self._input: Tensor = operands.tensor(data.name)
        constants = {spec.name: operands.tensor(spec.name) for spec in layer.weights}
        stack = filled_stack(layer, work, batch_first, constants)
        self._stored = STORED[task.dtype]
        self._stack = self._described(algorithm, task.dtype)
        device, dtype = self._input.device, self._input.dtype
        states, width = work.layers * work.directions, work.directions * work.state_size
        order = (work.batch, work.length) if batch_first else (work.length, work.batch)
        empty = {"dtype": dtype, "device": device}
        self._output = torch.full((*order, width), float("nan"), **empty)
        self._hidden = torch.full((states, work.batch, work.state_size), float("nan"), **empty)
        self._cell = torch.full((states, work.batch, work.hidden_size), float("nan"), **empty)
        self._lengths = torch.full((work.batch,), work.length, dtype=torch.int32, device=device)
        memory = _BATCH_MAJOR if batch_first else _SEQUENCE_MAJOR
        self._x = self._sequence(work.input_size, memory)
        self._y = self._sequence(width, memory)
        self._h, self._c = (
            library().tensor(self._stored, tuple(t.shape), t.stride()) for t in (self._hidden, self._cell)
        )
        if algorithm == "persist dynamic":
            library().call("cudnnBuildRNNDynamic", library().handle, self._stack.value, work.batch)
        self._weights = self._packed(stack)
        self.workspace_bytes = self._temporary_bytes()
        self._workspace = torch.empty(max(self.workspace_bytes, 1), dtype=torch.uint8, device=device)

    def _described(self, algorithm: str, dtype: DataType) -> Descriptor:
        work = self._work
        self._dropout = Descriptor(library(), "Dropout")
        library().call(
            "cudnnSetDropoutDescriptor", self._dropout.value, library().handle, ctypes.c_float(0.0), None,
            ctypes.c_size_t(0), ctypes.c_ulonglong(0),
        )  # fmt: skip
        stack = Descriptor(library(), "RNN")
        library().call(
            "cudnnSetRNNDescriptor_v8", stack.value, ALGORITHMS[algorithm], _CELLS[work.cell], _DOUBLE_BIAS,
            work.directions - 1, _LINEAR_INPUT, self._stored, FLOAT, _MATH[dtype], work.input_size, work.hidden_size,
            work.state_size, work.layers, self._dropout.value, ctypes.c_uint(_PADDED_IO),
        )  # fmt: skip
        return stack

    def _sequence(self, width: int, layout: int) -> Descriptor:
        work = self._work
        descriptor = Descriptor(library(), "RNNData")
        lengths = ints([work.length] * work.batch)
        library().call(
            "cudnnSetRNNDataDescriptor", descriptor.value, self._stored, layout, work.length, work.batch, width,
            lengths, None,
        )  # fmt: skip
        return descriptor

    def _packed(self, stack: RNNBase) -> Tensor:
        """The parameters where the library wants each: it tells the place of every gate's matrix and bias."""
        import torch

        size = ctypes.c_size_t()
        library().call("cudnnGetRNNWeightSpaceSize", library().handle, self._stack.value, ctypes.byref(size))
        space = torch.zeros(size.value, dtype=torch.uint8, device=self._input.device)
        gates = self._work.GATES[self._work.cell]
        for pseudo_layer, parameters in enumerate(_by_layer(stack, self._work)):
            weights, biases = parameters[:2], parameters[2:4]
            for source, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                for gate, (matrix, vector) in enumerate(zip(weight.chunk(gates), bias.chunk(gates), strict=True)):
                    self._place(space, pseudo_layer, source * gates + gate, matrix, vector)
            if self._work.projection:
                self._place(space, pseudo_layer, 2 * gates, parameters[4], None)
        return space

    def _place(self, space: Tensor, pseudo_layer: int, index: int, matrix: Tensor, vector: Tensor | None) -> None:
        places = ctypes.c_void_p(), ctypes.c_void_p()
        described = Descriptor(library(), "Tensor"), Descriptor(library(), "Tensor")
        library().call(
            "cudnnGetRNNWeightParams", library().handle, self._stack.value, pseudo_layer,
            ctypes.c_size_t(space.numel()), ctypes.c_void_p(space.data_ptr()), index,
            described[0].value, ctypes.byref(places[0]), described[1].value, ctypes.byref(places[1]),
        )  # fmt: skip
        for place, values in zip(places, (matrix, vector), strict=True):
            if values is None:
                continue
            if not place.value:
                raise UnsupportedError("cuDNN has no place for one of the recurrent layer's parameters")
            start = place.value - space.data_ptr()
            target = space[start : start + values.numel() * values.element_size()].view(values.dtype)
            target.copy_(values.reshape(-1))

    def _temporary_bytes(self) -> int:
        work_space, reserved = ctypes.c_size_t(), ctypes.c_size_t()
        library().call(
            "cudnnGetRNNTempSpaceSizes", library().handle, self._stack.value, _INFERENCE, self._x.value,
            ctypes.byref(work_space), ctypes.byref(reserved),
        )  # fmt: skip
        return int(work_space.value)

    def launch(self) -> None:
        """Enqueue one run on PyTorch's current stream, which a capture replaces; states start at zero."""
        import torch

        handle = library().on_stream(torch.cuda.current_stream().cuda_stream)
        has_cell = self._work.cell == "lstm"
        library().call(
            "cudnnRNNForward", handle, self._stack.value, _INFERENCE, _at(self._lengths),
            self._x.value, _at(self._input), self._y.value, _at(self._output),
            self._h.value, None, _at(self._hidden), self._c.value, None, _at(self._cell) if has_cell else None,
            ctypes.c_size_t(self._weights.numel()), _at(self._weights),
            ctypes.c_size_t(self.workspace_bytes), _at(self._workspace), ctypes.c_size_t(0), None,
        )  # fmt: skip

    def outputs(self) -> Sequence[Tensor]:
        values = (self._output, self._hidden, self._cell)
        return tuple(
            self._shaped(value, spec, self._work) for value, spec in zip(values, self._layer.outputs, strict=False)
        )


def _by_layer(stack: RNNBase, work: Recurrent) -> list[list[Any]]:
    """Parameters of each layer and direction: weights of input and state, their biases, the projection."""
    all_weights: list[list[Any]] = stack.all_weights
    assert len(all_weights) == work.layers * work.directions
    return all_weights


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
