"""The cases of a chain: one per library, tensor order and form in which the stopwatch would run it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from headroom.graph.chain import Chain
from headroom.graph.tensor import DataType
from headroom.graph.work import Recurrent
from headroom.measure.backends.cudnn.describe import describe, forms_of
from headroom.measure.backends.layouts import layouts_of
from headroom.measure.bench import UnsupportedError
from headroom.measure.task import Task
from headroom.measure.travel.case import Benchmark, Case, Fill, Operation, Tensor
from headroom.measure.travel.classic import takes_convolution
from headroom.measure.travel.products import product_case
from headroom.measure.travel.recorder import recorder
from headroom.measure.travel.single import single_cases

#: Operations that are finite on part of the line only: what they read stays between these bounds.
_BOUNDED = frozenset({"log", "sqrt", "rsqrt", "reciprocal", "div"})
_BOUNDS = Fill("uniform", 0.5, 1.5)

#: Operations whose second operand is scaled by the number of products that are summed.
_PRODUCTS = ("conv_fprop", "conv_dgrad", "conv_wgrad", "matmul")


def benchmarks_of(tasks: Iterable[Task]) -> tuple[list[Benchmark], list[Task]]:
    """A benchmark of every task that one of the libraries can run as described, and the tasks that none can."""
    found, without = [], []
    for task in tasks:
        cases = tuple(cases_of(task))
        if cases:
            found.append(Benchmark(task.chain, task.dtype, cases))
        else:
            without.append(task)
    return found, without


def cases_of(task: Task) -> Iterator[Case]:
    """Every case of ``task.chain``, in the order in which its libraries are tried."""
    if isinstance(task.chain.anchor.work, Recurrent):
        return
    for layout in layouts_of(task):
        for form in forms_of(task.chain, layout):
            try:
                yield _graph_case(task.chain, task.dtype, layout, form)
            except UnsupportedError:
                continue
    for layout in layouts_of(task):
        try:
            yield product_case(task.chain, task.dtype, layout)
        except UnsupportedError:
            continue
    yield from single_cases(task)


def _graph_case(chain: Chain, dtype: DataType, layout: str, form: str) -> Case:
    """The graph that the stopwatch describes to cuDNN, written down.

    Raises:
        UnsupportedError: the chain has no such graph.
    """
    description = describe(chain, dtype, layout, form, library=recorder())
    operations: tuple[Operation, ...] = tuple(description.graph.operations)
    drawn = description.graph.tensors
    tensors = tuple(Tensor(each.uid, each.type, each.dims, each.strides, each.fill) for each in drawn)
    case = Case(
        ("cudnn",), layout, _math(chain, dtype), filled(tensors, operations, chain), operations,
        "_written" if form == "written" else "",
    )  # fmt: skip
    return replace(case, libraries=("cudnn", "cudnn-conv")) if takes_convolution(case) else case


def filled(tensors: tuple[Tensor, ...], operations: tuple[Operation, ...], chain: Chain) -> tuple[Tensor, ...]:
    """``tensors`` with operands that keep every result finite and of a variance near one (docs/stopwatch.md)."""
    if any(operation.name in _BOUNDED for operation in operations):
        return tuple(_with(tensor, _BOUNDS) for tensor in tensors)
    gemm = chain.anchor.gemm
    if gemm is None or operations[0].name not in _PRODUCTS:
        return tensors
    second = operations[0].reads[1]
    scale = Fill("normal", 1 / math.sqrt(max(gemm.k, 1)))
    return tuple(_with(tensor, scale) if tensor.uid == second else tensor for tensor in tensors)


def _with(tensor: Tensor, fill: Fill) -> Tensor:
    return replace(tensor, fill=fill) if tensor.fill.kind == "normal" else tensor


def _math(chain: Chain, dtype: DataType) -> str:
    return "tf32" if dtype is DataType.TF32 and chain.anchor.kind.computes_gemm else "fp32"
