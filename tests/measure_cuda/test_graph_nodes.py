"""The kernels of a graph, as the driver's answers tell them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headroom.errors import GpuError
from headroom.measure.cuda.graph_nodes import _nodes_of
from headroom.store.rows import Kernel

OK, BAD = "CUDA_SUCCESS", "CUDA_ERROR_INVALID_VALUE"
NAME = b"cudnn_generated_fort_native_sm80_convFwd_knob_21_128x128x32_4_0"


def params(func: int = 0, kern: int = 0):
    return SimpleNamespace(
        func=func, kern=kern, gridDimX=7, gridDimY=2, gridDimZ=1, blockDimX=256, blockDimY=1, blockDimZ=1,
        sharedMemBytes=65536,
    )  # fmt: skip


class Driver:
    """The bindings' functions, each of which answers with a status first; nodes are (kind, payload)."""

    CUresult = SimpleNamespace(CUDA_SUCCESS=OK)
    CUgraphNodeType = SimpleNamespace(
        CU_GRAPH_NODE_TYPE_KERNEL="kernel",
        CU_GRAPH_NODE_TYPE_MEMCPY="copy",
        CU_GRAPH_NODE_TYPE_MEMSET="fill",
        CU_GRAPH_NODE_TYPE_GRAPH="graph",
    )
    CUfunction_attribute = SimpleNamespace(CU_FUNC_ATTRIBUTE_NUM_REGS=1, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES=2)

    def cuGraphGetNodes(self, graph, count=0):  # noqa: N802
        return OK, graph[:count], len(graph)

    def cuGraphNodeGetType(self, node):  # noqa: N802
        return OK, node[0]

    def cuGraphKernelNodeGetParams(self, node):  # noqa: N802
        return OK, node[1]

    def cuGraphChildGraphNodeGetGraph(self, node):  # noqa: N802
        return OK, node[1]

    def cuFuncGetName(self, function):  # noqa: N802
        return OK, NAME

    def cuKernelGetName(self, kernel):  # noqa: N802
        return OK, b"a_kernel_of_a_library"

    def cuKernelGetFunction(self, kernel):  # noqa: N802
        return OK, 99

    def cuFuncGetAttribute(self, attribute, function):  # noqa: N802
        return OK, {1: 168, 2: 1024}[attribute]


def test_kernels_copies_fills_and_inner_graphs_are_listed_in_order() -> None:
    inner = [("kernel", params(kern=6)), ("copy", None)]
    graph = [("fill", None), ("kernel", params(func=5)), ("graph", inner), ("event", None)]
    fill, convolution, library, copy = _nodes_of(Driver(), graph)
    assert convolution == Kernel(NAME.decode(), (7, 2, 1), (256, 1, 1), 168, 65536 + 1024, (128, 128, 32))
    assert (fill.name, library.name, copy.name) == ("memset", "a_kernel_of_a_library", "memcpy")
    assert library.tile is None


def test_a_driver_that_answers_with_an_error_is_named() -> None:
    class Refusing(Driver):
        def cuGraphNodeGetType(self, node):  # noqa: N802
            return BAD, None

    with pytest.raises(GpuError, match=BAD):
        list(_nodes_of(Refusing(), [("kernel", params(func=5))]))
