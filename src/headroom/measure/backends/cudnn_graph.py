"""The backend of cuDNN's graph API: every plan that the library has for a chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headroom.errors import GpuError
from headroom.graph.tensor import DataType
from headroom.measure.backends.cudnn.describe import Description, describe, forms_of
from headroom.measure.backends.cudnn.library import frontend, handle
from headroom.measure.backends.cudnn.plans import Plans
from headroom.measure.backends.geometry.memory import arranged, lies_by
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.bench import Operands, UnsupportedError
from headroom.measure.task import Task
from headroom.store.rows import Implementation

if TYPE_CHECKING:
    from torch import Tensor

#: What one plan may take beside the operands; a third of the free memory if that is less.
WORKSPACE_LIMIT_BYTES = 1 << 30


#: Ends the names of plans of a chain described as the model has it (see :mod:`.cudnn.convolution`).
_WRITTEN = "_written"


class CudnnGraph:
    """Convolutions, products, normalisations, attention and pointwise work, alone and fused."""

    name = "cudnn"

    def candidates(self, task: Task, operands: Operands) -> Iterator[CudnnCandidate]:
        """Plans layout by layout, each layout's in the order of the library's preference.

        In a layout that is not the first one wished for, plans are those of the first around transposes (or cores
        that are slower than any of them): there the library's own first choices are enough.
        """
        for index, layout in enumerate(layouts_of(task)):
            plans = "heuristic" if index else task.plans
            seen: set[str] = set()
            for form in forms_of(task.chain, layout):
                try:
                    graph = _Graph(task, operands, layout, form)
                except UnsupportedError:
                    continue
                for name in graph.plans.names(plans):
                    # Engines that compile at run time see the same work in both forms.
                    if name not in seen:
                        seen.add(name)
                        yield CudnnCandidate(self._implementation(task, layout, form, name), name, graph)

    def candidate(self, task: Task, operands: Operands, implementation: Implementation) -> CudnnCandidate:
        """The plan of that name and layout, to run it again.

        Raises:
            UnsupportedError: this version of the library proposes no such plan.
        """
        plan = implementation.name.removesuffix(_WRITTEN)
        form = forms_of(task.chain, implementation.layout)[0 if plan == implementation.name else -1]
        graph = _Graph(task, operands, implementation.layout, form)
        if not graph.plans.find(plan):
            raise UnsupportedError(f"cuDNN has no plan {implementation.name} for {task.chain.title}")
        return CudnnCandidate(implementation, plan, graph)

    def _implementation(self, task: Task, layout: str, form: str, plan: str) -> Implementation:
        products = task.chain.anchor.kind.computes_gemm
        math = "tf32" if task.dtype is DataType.TF32 and products else "fp32"
        name = plan + _WRITTEN if form == "written" else plan
        return Implementation(self.name, name, layout, math)


def backend() -> CudnnGraph:
    """The backend, once its library is known to open.

    Raises:
        GpuError: the library is missing or finds no GPU.
    """
    try:
        handle()
    except UnsupportedError as error:
        raise GpuError(str(error)) from error
    return CudnnGraph()


class _Graph:
    """One description of a chain with its operands on the GPU, shared by the candidates of a layout."""

    def __init__(self, task: Task, operands: Operands, layout: str, form: str) -> None:
        self.operands = operands
        self.description: Description = describe(task.chain, task.dtype, layout, form, handle=handle())
        self.plans = Plans(
            self.description, strict=task.dtype is DataType.FP32 and task.chain.anchor.kind.computes_gemm
        )
        self._inputs: dict[int, Tensor] | None = None

    def inputs(self) -> dict[int, Tensor]:
        """What the graph reads, in the memory that it was described with, made once."""
        if self._inputs is None:
            self._inputs = {
                feed.uid: arranged(feed.source(self.operands), feed.dims, feed.strides)
                for feed in self.description.feeds
            }
        return self._inputs

    def output(self) -> tuple[Tensor, Tensor]:
        """New memory for the result, and a view of it in the chain's own shape."""
        result = self.description.result
        logical = self.operands.empty(result.spec.name, result.layout)
        if not result.layout:
            return logical, logical
        viewed = logical.reshape(result.dims)
        if viewed.data_ptr() == logical.data_ptr() and lies_by(viewed, result.strides):
            return logical, logical
        memory = arranged(viewed, result.dims, result.strides)
        return memory, memory.reshape(result.spec.shape)


@dataclass(frozen=True, slots=True)
class CudnnCandidate:
    """A plan, not yet built."""

    implementation: Implementation
    plan: str
    graph: _Graph

    def build(self) -> CudnnProgram:
        """Compile where the engine needs it, and allocate the workspace.

        Raises:
            UnsupportedError: the library declines, or the plan wants more workspace than it may have.
        """
        import torch

        needed = self.graph.plans.build(self.plan)
        free, _ = torch.cuda.mem_get_info()
        limit = min(WORKSPACE_LIMIT_BYTES, free // 3)
        if needed > limit:
            raise UnsupportedError(f"the plan needs {needed} bytes of workspace; {limit} are allowed")
        workspace = torch.empty(max(needed, 1), dtype=torch.uint8, device="cuda")
        return CudnnProgram(self.graph, self.plan, needed, workspace)


class CudnnProgram:
    """A built plan with its workspace and output.

    Whatever takes the GPU's time, operands, folded weights and output, is made by the first launch, which is not timed.
    """

    def __init__(self, graph: _Graph, name: str, workspace_bytes: int, workspace: Tensor) -> None:
        self._graph, self._name, self._workspace = graph, name, workspace
        self.workspace_bytes = workspace_bytes

    @cached_property
    def _result(self) -> tuple[Tensor, Tensor]:
        return self._graph.output()

    @cached_property
    def _pointers(self) -> dict[int, int]:
        tensors = {**self._graph.inputs(), self._graph.description.result.uid: self._result[0]}
        return {uid: tensor.data_ptr() for uid, tensor in tensors.items()}

    def launch(self) -> None:
        """Enqueue one run on PyTorch's current stream, which a capture replaces."""
        import torch

        opened: Any = handle()
        frontend().set_stream(opened, torch.cuda.current_stream().cuda_stream)
        self._graph.plans.run(self._name, self._pointers, self._workspace.data_ptr(), opened)

    def outputs(self) -> Sequence[Tensor]:
        return (self._result[1],)
