"""The kernels of a captured graph: what an implementation really launches, with grid and block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headroom.errors import GpuError
from headroom.measure.cuda.kernel_names import tile_of
from headroom.store.rows import Kernel

#: Copies and fills have no grid.
_ONE = (1, 1, 1)


def kernels_of(graph: Any) -> tuple[Kernel, ...]:
    """Kernels, copies and fills of a :class:`torch.cuda.CUDAGraph` that was made with ``keep_graph``, in order.

    Copies and fills are work of the GPU like any other; they are named ``memcpy`` and ``memset``.

    Raises:
        GpuError: the driver's answer is an error.
    """
    from cuda.bindings import driver

    return tuple(_nodes_of(driver, driver.CUgraph(graph.raw_cuda_graph())))


def _nodes_of(driver: Any, graph: Any) -> Iterator[Kernel]:
    _, count = _answer(driver, driver.cuGraphGetNodes(graph))
    nodes, _ = _answer(driver, driver.cuGraphGetNodes(graph, count))
    kinds = driver.CUgraphNodeType
    for node in nodes[:count]:
        (kind,) = _answer(driver, driver.cuGraphNodeGetType(node))
        if kind == kinds.CU_GRAPH_NODE_TYPE_KERNEL:
            yield _kernel(driver, node)
        elif kind == kinds.CU_GRAPH_NODE_TYPE_MEMCPY:
            yield Kernel("memcpy", _ONE, _ONE)
        elif kind == kinds.CU_GRAPH_NODE_TYPE_MEMSET:
            yield Kernel("memset", _ONE, _ONE)
        elif kind == kinds.CU_GRAPH_NODE_TYPE_GRAPH:
            (child,) = _answer(driver, driver.cuGraphChildGraphNodeGetGraph(node))
            yield from _nodes_of(driver, child)


def _kernel(driver: Any, node: Any) -> Kernel:
    (params,) = _answer(driver, driver.cuGraphKernelNodeGetParams(node))
    name, registers, static_bytes = _function(driver, params)
    return Kernel(
        name,
        (params.gridDimX, params.gridDimY, params.gridDimZ),
        (params.blockDimX, params.blockDimY, params.blockDimZ),
        registers,
        params.sharedMemBytes + static_bytes,
        tile_of(name),
    )


def _function(driver: Any, params: Any) -> tuple[str, int, int]:
    """Name, registers per thread and static shared memory; a kernel may be given without the context's function."""
    attributes = driver.CUfunction_attribute
    if int(params.func or 0):
        (name,) = _answer(driver, driver.cuFuncGetName(params.func))
        function = params.func
    else:
        (name,) = _answer(driver, driver.cuKernelGetName(params.kern))
        (function,) = _answer(driver, driver.cuKernelGetFunction(params.kern))
    (registers,) = _answer(driver, driver.cuFuncGetAttribute(attributes.CU_FUNC_ATTRIBUTE_NUM_REGS, function))
    (static,) = _answer(driver, driver.cuFuncGetAttribute(attributes.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, function))
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name), registers, static


def _answer(driver: Any, result: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call returned behind its status."""
    status, *values = result
    if status != driver.CUresult.CUDA_SUCCESS:
        raise GpuError(f"CUDA's driver cannot show what a graph consists of: {status!r}")
    return tuple(values)
