"""PyTorch as it runs a layer by itself: the framework's own choice, and its own autotuner's.

A chain of several layers is its layers one after the other: that is what eager mode does with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from headroom.graph.kinds import LayerKind
from headroom.graph.tensor import DataType
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.backends.programs import Contexts, SearchedProgram, TorchCandidate, TorchProgram
from headroom.measure.backends.torch_ops import bind_chain
from headroom.measure.backends.torch_ops.math_mode import math_name
from headroom.measure.bench import Backend, Candidate, Operands, UnsupportedError
from headroom.measure.roles import places_of
from headroom.measure.task import Task
from headroom.store.rows import Implementation

#: The kernels behind scaled_dot_product_attention, each of which may decline.
_ATTENTION = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}

#: What PyTorch says where none of the kernels that it may use takes the operands.
_NO_KERNEL = ("No available kernel", "No viable backend")

_PRODUCTS = frozenset({LayerKind.MATMUL, LayerKind.MATVEC})


class TorchBackend:
    """Every chain, as eager PyTorch runs it."""

    name = "torch"

    def candidates(self, task: Task, operands: Operands) -> Iterator[Candidate]:
        """One per layout; for a convolution alone also with cuDNN's search; for attention one per kernel.

        The search times dozens of plans that are measured anyway. It is here to be compared with, and a convolution
        is the same one wherever it stands in a chain.
        """
        anchor = task.chain.anchor
        math = math_name(task.dtype, products=anchor.kind.computes_gemm)
        for layout in layouts_of(task):
            for suffix, contexts in _variants(task):
                implementation = Implementation(self.name, _named(task) + suffix, layout, math)
                yield TorchCandidate(implementation, partial(_program, task, operands, layout, contexts))


def backend() -> Backend:
    return TorchBackend()


def _named(task: Task) -> str:
    """The operator's name for one layer; a chain says that it is run layer by layer."""
    if task.chain.is_fused:
        return "eager"
    anchor = task.chain.anchor
    if anchor.kind is LayerKind.CONVOLUTION:
        work = anchor.work
        rank = len(getattr(work, "kernel", (1, 1)))
        forward = getattr(work, "direction", "forward") == "forward"
        return f"conv{rank}d" if forward else f"conv{rank}d {getattr(work, 'direction', '')}"
    if anchor.kind in _PRODUCTS:
        return "linear" if len(anchor.inputs) + len(anchor.weights) > 2 else "matmul"
    return anchor.step


def _variants(task: Task) -> list[tuple[str, Contexts]]:
    anchor = task.chain.anchor
    if anchor.kind is LayerKind.CONVOLUTION:
        default: tuple[str, Contexts] = ("", (partial(_search, False),))
        searched: tuple[str, Contexts] = (" benchmark", (_SEARCHED,))
        return [default, searched] if task.plans == "all" and not task.chain.is_fused else [default]
    if anchor.kind is LayerKind.ATTENTION:
        return [(f" {name}", (partial(_attention_kernel, kernel),)) for name, kernel in _ATTENTION.items()]
    return [("", ())]


@contextmanager
def _search(enabled: bool) -> Iterator[None]:
    """cuDNN's own search over all its algorithms, or none; PyTorch keeps the result per thread and shape."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=enabled, benchmark_limit=0, deterministic=False,
        allow_tf32=torch.backends.cudnn.allow_tf32,
    ):  # fmt: skip
        yield


_SEARCHED = partial(_search, True)


def _attention_kernel(kernel: SDPBackend) -> AbstractContextManager[object]:
    context: AbstractContextManager[object] = sdpa_kernel(kernel)
    return context


def _program(task: Task, operands: Operands, layout: str, contexts: Contexts) -> TorchProgram:
    """Bind the chain to its operands.

    Raises:
        UnsupportedError: PyTorch has no operator for it, or the data type is not one that it computes in.
    """
    chain = task.chain
    if task.dtype is DataType.FP8 and (chain.is_fused or chain.anchor.kind not in _PRODUCTS):
        raise UnsupportedError("PyTorch computes matrix products alone in fp8")
    tensors = {tensor.name: operands.tensor(tensor.name, layout) for tensor in (*chain.inputs, *chain.weights)}
    tensors |= {tensor.name: operands.empty(tensor.name, layout) for tensor in places_of(chain)}
    run = bind_chain(chain, tensors)
    kind = SearchedProgram if _SEARCHED in contexts else TorchProgram
    program = kind(lambda: run(tensors), task.dtype, contexts)
    return _declining(program) if chain.anchor.kind is LayerKind.ATTENTION else program


def _declining(program: TorchProgram) -> TorchProgram:
    """An attention kernel that does not take these operands says so in a RuntimeError and in warnings."""
    run: Callable[[], object] = program.run

    def checked() -> object:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return run()
        except RuntimeError as error:
            if any(sentence in str(error) for sentence in _NO_KERNEL):
                raise UnsupportedError("this attention kernel does not take these operands") from error
            raise

    program.run = checked  # type: ignore[assignment]
    return program
