"""torch.compile: the chain as one compiled function, for work that a compiler fuses well.

Products are left to the libraries that inductor itself would call, with what those fuse into them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

import torch

from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.programs import TorchCandidate, TorchProgram
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.backends.torch_ops.math_mode import math_name
from headroom.measure.bench import Backend, Candidate, Operands
from headroom.measure.roles import places_of
from headroom.measure.task import Task
from headroom.store.rows import Implementation

#: Alone they are one library call, compiled or not; a recurrent stack is one even inside a chain.
_LIBRARY_CALLS = frozenset(
    {LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC, LayerKind.ATTENTION, LayerKind.RECURRENT}
)


#: What both cuDNN and cuBLASLt compute in the kernel of the product before it.
_EPILOGUES = frozenset({"add", "batch", "relu", "sum"})


class InductorBackend:
    """Chains as PyTorch's compiler runs them in its default mode, which leaves CUDA graphs to the stopwatch."""

    name = "inductor"

    def __init__(self, compiler: str = "inductor") -> None:
        self._compiler = compiler

    def candidates(self, task: Task, operands: Operands) -> Iterator[Candidate]:
        """One per layout. Compiling takes seconds, so a run that asks for heuristics only does without."""
        chain = task.chain
        if task.plans != "all" or task.dtype is DataType.FP8 or not _gains(chain):
            return
        math = math_name(task.dtype, products=chain.anchor.kind.computes_gemm)
        layouts = layouts_of(task)
        if chain.anchor.kind in _LIBRARY_CALLS:
            # The library's part decides the layout, and the compiler's part is an epilogue: one is enough to know it.
            layouts = layouts[:1]
        for layout in layouts:
            implementation = Implementation(self.name, "default", layout, math)
            yield TorchCandidate(implementation, partial(_program, task, operands, layout, self._compiler))


def _gains(chain: Chain) -> bool:
    """Whether compiled code can beat the libraries: not where they run the whole chain as one kernel.

    A compiled chain of a plain product and what libraries fuse into it is their unfused product and a kernel more,
    and takes seconds to compile; their fused plans are measured instead.
    """
    anchor = chain.anchor
    if any(layer.kind is LayerKind.RECURRENT for layer in chain.layers) or places_of(chain):
        return False
    if anchor.kind not in _LIBRARY_CALLS:
        return True
    plain = getattr(anchor.work, "groups", 1) == 1
    return not (plain and all(getattr(layer.work, "function", "") in _EPILOGUES for layer in chain.layers[1:]))


def backend() -> Backend:
    """
    Raises:
        ImportError: the compiler that inductor writes kernels for is missing.
    """
    import_module("triton")
    # Compiling in this process leaves no pool of compilers behind when the worker is ended.
    config: Any = import_module("torch._inductor.config")
    config.compile_threads = 1
    return InductorBackend()


def _program(task: Task, operands: Operands, layout: str, compiler: str) -> TorchProgram:
    chain = task.chain
    names = [tensor.name for tensor in (*chain.inputs, *chain.weights)]
    tensors = [operands.tensor(name, layout) for name in names]
    run = bind_chain(chain, dict(zip(names, tensors, strict=True)))

    def function(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return run(dict(zip(names, values, strict=True)))

    # Compiled code of earlier chains would be tried, guard by guard, before this one is compiled.
    torch._dynamo.reset()
    compiled = torch.compile(function, dynamic=False, fullgraph=True, backend=compiler)
    return TorchProgram(lambda: compiled(*tensors), task.dtype)
