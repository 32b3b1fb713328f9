"""The backend of cuDNN's older functions: pooling, softmax, reductions, activations, recurrent layers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from headroom.errors import GpuError
from headroom.graph.tensor import DataType
from headroom.graph.work import Recurrent
from headroom.measure.backends.geometry.frame import strides_of
from headroom.measure.backends.geometry.memory import arranged, lies_by
from headroom.measure.backends.legacy.forms import Form, usable_forms
from headroom.measure.backends.legacy.library import STORED, library
from headroom.measure.backends.legacy.recurrent import ALGORITHMS, RecurrentProgram
from headroom.measure.bench import Operands, Program, UnsupportedError
from headroom.measure.task import Task
from headroom.store.rows import Implementation

if TYPE_CHECKING:
    from torch import Tensor


class CudnnLegacy:
    """Single layers, by one function of the library each."""

    name = "cudnn-legacy"

    def candidates(self, task: Task, operands: Operands) -> Iterator[LegacyCandidate]:
        """One per layout, or per algorithm of a recurrent layer; none for chains and for fp8."""
        if isinstance(task.chain.anchor.work, Recurrent):
            if not task.chain.is_fused and task.dtype in STORED:
                for algorithm in ALGORITHMS:
                    yield self._recurrent(task, operands, algorithm)
            return
        for layout, form in usable_forms(task):
            implementation = Implementation(self.name, form.name, layout)
            yield LegacyCandidate(implementation, partial(FormProgram, form, task, operands))

    def _recurrent(self, task: Task, operands: Operands, algorithm: str) -> LegacyCandidate:
        math = "tf32" if task.dtype is DataType.TF32 else "fp32"
        implementation = Implementation(self.name, f"cudnnRNNForward {algorithm}", "", math)
        return LegacyCandidate(implementation, partial(RecurrentProgram, algorithm, task, operands))


def backend() -> CudnnLegacy:
    """The backend, once its library is known to open.

    Raises:
        GpuError: the library is missing or finds no GPU.
    """
    try:
        library().open()
    except (RuntimeError, UnsupportedError) as error:
        raise GpuError(f"cuDNN cannot be opened: {error}") from error
    return CudnnLegacy()


@dataclass(frozen=True, slots=True)
class LegacyCandidate:
    """A call, not yet prepared."""

    implementation: Implementation
    make: Callable[[], Program]

    def build(self) -> Program:
        """Describe the tensors to the library and allocate.

        Raises:
            UnsupportedError: the library declines.
        """
        return self.make()


class FormProgram:
    """A call with its descriptors, workspace and output.

    Whatever takes the GPU's time, operand and output, is made by the first launch, which is not timed.
    """

    def __init__(self, form: Form, task: Task, operands: Operands) -> None:
        import torch

        self._form, self._operands, self._result_name = form, operands, task.chain.outputs[0].name
        stored = STORED[task.dtype]
        x = library().tensor(stored, form.x, strides_of(form.x, form.layout))
        y = library().tensor(stored, form.y, strides_of(form.y, form.layout))
        self._settings = form.prepare(library(), x, y)
        self._keeps = x, y
        self._scales = ctypes.c_float(1.0), ctypes.c_float(0.0)
        self.workspace_bytes = self._settings.workspace_bytes or 0
        self._workspace = torch.empty(max(self.workspace_bytes, 1), dtype=torch.uint8, device="cuda")

    @cached_property
    def _input(self) -> Tensor:
        form = self._form
        return arranged(self._operands.tensor(form.source.name, form.layout), form.x, strides_of(form.x, form.layout))

    @cached_property
    def _result(self) -> tuple[Tensor, Tensor]:
        return _output(self._form, self._operands, self._result_name)

    def launch(self) -> None:
        """Enqueue one run on PyTorch's current stream, which a capture replaces."""
        import torch

        handle = library().on_stream(torch.cuda.current_stream().cuda_stream)
        alpha, beta = map(ctypes.byref, self._scales)
        x, y = (descriptor.value for descriptor in self._keeps)
        library().call(
            self._form.function, handle, *self._settings.arguments, *self._workspace_arguments(),
            alpha, x, address(self._input), beta, y, address(self._result[0]),
        )  # fmt: skip

    def _workspace_arguments(self) -> tuple[Any, ...]:
        if self._settings.workspace_bytes is None:
            return ()
        return address(self._workspace), ctypes.c_size_t(self.workspace_bytes)

    def outputs(self) -> Sequence[Tensor]:
        return (self._result[1],)


def _output(form: Form, operands: Operands, name: str) -> tuple[Tensor, Tensor]:
    """New memory for the result, and a view of it in the layer's own shape."""
    logical: Tensor = operands.empty(name, form.layout)
    if not form.layout or lies_by(logical.reshape(form.y), strides_of(form.y, form.layout)):
        return logical, logical
    memory = arranged(logical, form.y, strides_of(form.y, form.layout))
    return memory, memory.reshape(logical.shape)


def address(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
