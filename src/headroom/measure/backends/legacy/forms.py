"""Functions of one tensor: what is called, on which view of the layer's input, with which settings.

All of them end in the same arguments (``alpha, x, beta, y``), so that only what stands before has to be said.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from headroom.graph.chain import FLOATING
from headroom.graph.layer import Layer
from headroom.graph.tensor import DataType, TensorSpec
from headroom.graph.work import Elementwise, Normalization, Pooling, Reduction, Softmax
from headroom.measure.backends.geometry.frame import Shape, image, plain
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.legacy.library import FLOAT, STORED, Descriptor, Library, ints
from headroom.measure.bench import UnsupportedError
from headroom.measure.reduced import reduced_dimensions
from headroom.measure.roles import CLIP_BOUNDS, operands_of
from headroom.measure.task import Task
from headroom.measure.windows import pooling_padding


@dataclass(frozen=True)
class Settings:
    """The arguments between the handle and ``alpha``. A workspace, where there is one, is the last of them."""

    arguments: tuple[Any, ...]
    keeps: tuple[Descriptor, ...] = ()
    workspace_bytes: int | None = None


#: Makes the settings, given the descriptors of input and output.
Prepare = Callable[[Library, Descriptor, Descriptor], Settings]


@dataclass(frozen=True)
class Form:
    """A call: ``function`` of ``source`` viewed as ``x``, giving a tensor viewed as ``y``.

    ``layout`` is empty where the view is of memory row by row, whatever the order of the layer's dimensions.
    ``takes_bf16`` is false of functions that answer CUDNN_STATUS_NOT_SUPPORTED to bf16, which they do at the launch.
    """

    name: str
    function: str
    source: TensorSpec
    x: Shape
    y: Shape
    layout: str
    prepare: Prepare = field(repr=False)
    takes_bf16: bool = True


def usable_forms(task: Task) -> Iterator[tuple[str, Form]]:
    """Every tensor order in which a layer can run, with the calls that compute it there in the task's data type; none
    for chains and for fp8.
    """
    if task.chain.is_fused or task.dtype not in STORED:
        return
    for layout in layouts_of(task):
        try:
            forms = forms_of(task.chain.anchor, layout)
        except UnsupportedError:
            continue
        yield from ((layout, form) for form in forms if form.takes_bf16 or task.dtype is not DataType.BF16)


def forms_of(layer: Layer, layout: str) -> list[Form]:
    """The calls that compute ``layer``, of which none is known to be the fastest.

    Raises:
        UnsupportedError: none does.
    """
    operands = operands_of(layer)
    if len(operands) != 1 or len(layer.outputs) != 1 or operands[0].element != FLOATING:
        raise UnsupportedError(f"{layer.step} does not read one floating-point tensor and write one")
    source = operands[0]
    work = layer.work
    if isinstance(work, Pooling):
        return [_pooling(layer, work, source, layout)]
    if isinstance(work, Softmax):
        return _softmax(layer, work, source)
    if isinstance(work, Reduction):
        return [_reduction(layer, work, source, layout)]
    if isinstance(work, Normalization) and work.function == "local_response":
        return [_local_response(work, source, layout)]
    if isinstance(work, Elementwise) and work.function in _ACTIVATIONS:
        return [_activation(work, source, layout)]
    raise UnsupportedError(f"cuDNN has no function for {layer.step} outside its graphs")


# CUDNN_POOLING_MAX and CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING
_POOLING = {"max": 0, "average": 1}


def _pooling(layer: Layer, work: Pooling, source: TensorSpec, layout: str) -> Form:
    if work.function not in _POOLING:
        raise UnsupportedError(f"cuDNN has no {work.function} pooling")
    padding = pooling_padding(layer)
    if any(begin != end for begin, end in padding):
        raise UnsupportedError("cuDNN pads both ends of a dimension alike")
    space = len(work.window)
    flat = space == 1
    window = [1] * flat + list(work.window)
    pads = [0] * flat + [begin for begin, _ in padding]
    stride = [1] * flat + list(work.stride)

    def prepare(library: Library, x: Descriptor, y: Descriptor) -> Settings:
        pooling = Descriptor(library, "Pooling")
        library.call(
            "cudnnSetPoolingNdDescriptor", pooling.value, _POOLING[work.function], 0, len(window),
            ints(window), ints(pads), ints(stride),
        )  # fmt: skip
        return Settings((pooling.value,), (pooling,))

    x, y = (image(spec.shape, space, layout).dims for spec in (source, layer.outputs[0]))
    return Form(f"cudnnPoolingForward {work.function}", "cudnnPoolingForward", source, x, y, layout, prepare)


def _softmax(layer: Layer, work: Softmax, source: TensorSpec) -> list[Form]:
    """Along the last dimension of a row's length, else rows are all that lies behind an axis."""
    shape = source.shape
    if shape != layer.outputs[0].shape:
        raise UnsupportedError("this relative of softmax (a loss or a gradient) has no function in cuDNN")
    along = next((d for d in reversed(range(len(shape))) if shape[d] == work.row_elements), None)
    inner = math.prod(shape[along + 1 :]) if along is not None else 1
    dims = (work.rows // inner, work.row_elements, inner, 1)
    # CUDNN_SOFTMAX_ACCURATE over CUDNN_SOFTMAX_MODE_CHANNEL; the fast one overflows where frameworks do not.
    accurate, channel = 1, 1

    def prepare(library: Library, x: Descriptor, y: Descriptor) -> Settings:
        return Settings((accurate, channel))

    return [Form("cudnnSoftmaxForward accurate", "cudnnSoftmaxForward", source, dims, dims, "", prepare)]


_REDUCTIONS = {"reducesum": 0, "reduceprod": 1, "reducemin": 2, "reducemax": 3, "reducemean": 5, "reducel1": 6,
               "reducel2": 7}  # fmt: skip


def _reduction(layer: Layer, work: Reduction, source: TensorSpec, layout: str) -> Form:
    if work.function not in _REDUCTIONS:
        raise UnsupportedError(f"cuDNN reduces by no {work.function}")
    before = source.shape
    dims, _ = reduced_dimensions(before, layer.outputs[0].shape)
    after = tuple(1 if d in dims else size for d, size in enumerate(before))

    def prepare(library: Library, x: Descriptor, y: Descriptor) -> Settings:
        reduction = Descriptor(library, "ReduceTensor")
        operation = _REDUCTIONS[work.function]
        library.call("cudnnSetReduceTensorDescriptor", reduction.value, operation, FLOAT, 0, 0, 0)
        size = ctypes.c_size_t()
        library.call(
            "cudnnGetReductionWorkspaceSize", library.handle, reduction.value, x.value, y.value, ctypes.byref(size)
        )
        return Settings((reduction.value, None, ctypes.c_size_t(0)), (reduction,), int(size.value))

    x, y = (plain(shape, layout).dims for shape in (before, after))
    name = f"cudnnReduceTensor {work.function}"
    return Form(name, "cudnnReduceTensor", source, x, y, layout, prepare, takes_bf16=False)


# PyTorch's settings, which are the reference's: alpha, beta, k.
_LOCAL_RESPONSE = (1e-4, 0.75, 1.0)


def _local_response(work: Normalization, source: TensorSpec, layout: str) -> Form:
    def prepare(library: Library, x: Descriptor, y: Descriptor) -> Settings:
        norm = Descriptor(library, "LRN")
        settings = map(ctypes.c_double, _LOCAL_RESPONSE)
        library.call("cudnnSetLRNDescriptor", norm.value, ctypes.c_uint(work.group_elements), *settings)
        return Settings((norm.value, 0), (norm,))  # 0: over neighbouring channels, the only mode

    dims = plain(source.shape, layout).dims
    name = "cudnnLRNCrossChannelForward"
    return Form(name, name, source, dims, dims, layout, prepare, takes_bf16=False)


#: ``cudnnActivationMode_t`` and its coefficient: ceiling of the clipped one, alpha of ELU.
_ACTIVATIONS = {
    "sigmoid": (0, 0.0),
    "relu": (1, 0.0),
    "tanh": (2, 0.0),
    "clip": (3, CLIP_BOUNDS[1]),
    "elu": (4, 1.0),
}


def _activation(work: Elementwise, source: TensorSpec, layout: str) -> Form:
    mode, coefficient = _ACTIVATIONS[work.function]

    def prepare(library: Library, x: Descriptor, y: Descriptor) -> Settings:
        activation = Descriptor(library, "Activation")
        library.call("cudnnSetActivationDescriptor", activation.value, mode, 0, ctypes.c_double(coefficient))
        return Settings((activation.value,), (activation,))

    dims = plain(source.shape, layout).dims
    return Form(
        f"cudnnActivationForward {work.function}", "cudnnActivationForward", source, dims, dims, layout, prepare
    )
