"""The backend of cuBLASLt: matrix products, and convolutions that are one, with every algorithm it proposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headroom.graph.tensor import DataType
from headroom.measure.backends.geometry import fold
from headroom.measure.backends.geometry.frame import strides_of
from headroom.measure.backends.geometry.memory import arranged, lies_by
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.lt.call import Call
from headroom.measure.backends.lt.library import bindings, declined, handle
from headroom.measure.backends.lt.names import parsed
from headroom.measure.backends.lt.problem import Problem, problem_of
from headroom.measure.bench import Operands, UnsupportedError
from headroom.measure.task import Task
from headroom.store.rows import Implementation

if TYPE_CHECKING:
    from torch import Tensor

#: How many algorithms are asked for; the library rarely has more than these.
PROPOSALS = {"heuristic": 8, "likely": 128, "all": 128}


class CublasLt:
    """Matrix products with bias, residual and activation in the epilogue."""

    name = "cublaslt"

    def candidates(self, task: Task, operands: Operands) -> Iterator[LtCandidate]:
        """Algorithms in the order of the library's preference; fp8 with exact, then with fast accumulation."""
        for layout in layouts_of(task):
            for fast in (False, True) if task.dtype is DataType.FP8 else (False,):
                try:
                    product = _Product(task, operands, layout, fast)
                except UnsupportedError:
                    break
                seen: set[str] = set()
                for algorithm, data in product.call.proposals(PROPOSALS[task.plans]):
                    if algorithm.name not in seen:
                        seen.add(algorithm.name)
                        yield LtCandidate(self._implementation(task, layout, algorithm.name), product, data)

    def candidate(self, task: Task, operands: Operands, implementation: Implementation) -> LtCandidate:
        """The algorithm of that name, to run it again.

        Raises:
            UnsupportedError: this version of the library has no such algorithm, or the chain is no product.
        """
        try:
            algorithm = parsed(implementation.name)
        except ValueError as error:
            raise UnsupportedError(str(error)) from error
        product = _Product(task, operands, implementation.layout, algorithm.fast_accumulation)
        return LtCandidate(implementation, product, product.call.made(algorithm))

    def _implementation(self, task: Task, layout: str, name: str) -> Implementation:
        return Implementation(self.name, name, layout, "tf32" if task.dtype is DataType.TF32 else "fp32")


def backend() -> CublasLt:
    """The backend, once its library is known to open.

    Raises:
        GpuError: the library is missing or finds no GPU.
    """
    handle()
    return CublasLt()


class _Product:
    """One problem with its operands on the GPU, shared by its algorithms."""

    def __init__(self, task: Task, operands: Operands, layout: str, fast: bool) -> None:
        self.problem = problem_of(task.chain, task.dtype, layout)
        self.operands = operands
        try:
            self.call = Call(self.problem, task.dtype, fast_accumulation=fast)
        except bindings().cuBLASLtError as error:
            raise declined(error) from error
        self._dtype = task.dtype
        self._tensors: dict[str, Tensor] = {}
        self._addresses: dict[str, int] | None = None

    def addresses(self) -> dict[str, int]:
        """Where the factors and the residual lie; made once."""
        if self._addresses is None:
            self._tensors = self._made()
            self._addresses = {name: tensor.data_ptr() for name, tensor in self._tensors.items()}
            self.call.bind(bias=self._addresses.get("bias", 0), scales=self._addresses.get("scale", 0))
        return self._addresses

    def _made(self) -> dict[str, Tensor]:
        import torch

        problem = self.problem
        tensors = {"left": self._activation(problem.left.spec.name), "right": right_factor(problem, self.operands)}
        if problem.residual is not None:
            tensors["residual"] = self._activation(problem.residual.name)
        right, bias = tensors["right"], bias_vector(problem, self.operands)
        if bias is not None:
            wanted = torch.bfloat16 if self._dtype is DataType.FP8 else right.dtype
            tensors["bias"] = bias.to(wanted).contiguous()
        if self._dtype is DataType.FP8:
            tensors["scale"] = torch.ones(1, dtype=torch.float32, device=right.device)
        return tensors

    def _activation(self, name: str) -> Tensor:
        tensor: Tensor = self.operands.tensor(name, self.problem.layout)
        return arranged(tensor, tensor.shape, strides_of(tensor.shape, self.problem.layout))

    def output(self) -> tuple[Tensor, Tensor]:
        """New memory for the result, and a view of it in the chain's own shape."""
        result, layout = self.problem.result, self.problem.layout
        logical: Tensor = self.operands.empty(result.name, layout)
        strides = strides_of(result.shape, layout)
        if lies_by(logical, strides):
            return logical, logical
        memory = arranged(logical, result.shape, strides)
        return memory, memory


def right_factor(problem: Problem, operands: Operands) -> Tensor:
    """The right factor as the library is told it lies, with constants folded into its columns."""
    right, stored = problem.right, operands.tensor(problem.right.spec.name)
    height, width = (problem.n, problem.k) if right.transposed else (problem.k, problem.n)
    matrix = stored.reshape(-1, width, height).mT if right.retransposed else stored.reshape(-1, height, width)
    if problem.affine is not None:
        scale, _ = problem.affine.scale_and_shift(operands)
        factors = scale.reshape(-1, 1) if right.transposed else scale
        matrix = (matrix.float() * factors).to(stored.dtype)
    return matrix.contiguous()


def bias_vector(problem: Problem, operands: Operands) -> Tensor | None:
    """The bias per column, what remains of folded constants included."""
    own: Tensor | None = None if problem.bias is None else operands.tensor(problem.bias.name).reshape(-1)
    if problem.affine is None:
        return own
    return fold.shifted_bias(own, *problem.affine.scale_and_shift(operands))


@dataclass(frozen=True, slots=True)
class LtCandidate:
    """An algorithm, not yet checked."""

    implementation: Implementation
    product: _Product
    data: Any

    def build(self) -> LtProgram:
        """Check the algorithm and allocate its workspace.

        Raises:
            UnsupportedError: the library declines.
        """
        return LtProgram(self.product, self.data)


class LtProgram:
    """An algorithm with its workspace and output.

    Whatever takes the GPU's time, operands and output, is made by the first launch, which is not timed.
    """

    def __init__(self, product: _Product, data: Any) -> None:
        import torch

        self._product, self._data = product, data
        self.workspace_bytes = product.call.workspace_bytes(data)
        self._workspace = torch.empty(max(self.workspace_bytes, 1), dtype=torch.uint8, device="cuda")

    @cached_property
    def _result(self) -> tuple[Tensor, Tensor]:
        return self._product.output()

    @cached_property
    def _addresses(self) -> dict[str, int]:
        return {**self._product.addresses(), "result": self._result[0].data_ptr()}

    def launch(self) -> None:
        """Enqueue one run on PyTorch's current stream, which a capture replaces."""
        import torch

        stream = torch.cuda.current_stream().cuda_stream
        workspace = self._workspace.data_ptr()
        self._product.call.run(self._data, self._addresses, workspace, self.workspace_bytes, stream)

    def outputs(self) -> Sequence[Tensor]:
        return (self._result[1],)
