"""Copies that need not be: a kernel beside them can read or write their tensors where they lie.

A transpose, a slice or a concatenation changes where values lie and not what they are. Libraries take strides for the
operands of products and attention, compilers write a concatenation's parts in place, and frameworks hand on views; so a
bound of fused execution must not count the copy that an exporter wrote down.
"""

from __future__ import annotations

from headroom.graph.graph import Graph
from headroom.graph.layer import Layer
from headroom.graph.work import Movement

#: Movements whose every value comes from a place that the shapes alone tell.
_BY_SHAPE = frozenset(
    {
        "cast", "castlike", "cat", "centercroppad", "channel_shuffle", "clone", "concat", "concatenate",
        "constant_pad_nd", "contiguous", "copy", "depthtospace", "expand", "expand_copy", "flip", "hstack", "narrow",
        "native_channel_shuffle", "pad", "permute", "permute_copy", "pixel_shuffle", "pixel_unshuffle", "repeat",
        "reshape", "roll", "select", "select_copy", "slice", "slice_copy", "spacetodepth", "split", "stack", "tile",
        "to", "transpose", "transpose_copy", "view_copy", "vstack",
    }
)  # fmt: skip

#: Look-ups, which are slices where the index is a constant.
_LOOK_UPS = frozenset({"gather", "index", "index_select"})


def is_copy(layer: Layer) -> bool:
    """Whether a layer only changes where values lie, in a way that does not depend on data."""
    work = layer.work
    if not isinstance(work, Movement) or work.flops_per_element:
        return False
    return work.function in _BY_SHAPE or (work.function in _LOOK_UPS and len(layer.inputs) == 1)


def absorbed_copies(graph: Graph) -> frozenset[int]:
    """Copies (indices into ``graph.layers``) that have a layer beside them, views and other copies between, to do it.

    A model that only copies has none: there, copying is the work.
    """
    passes = {i for i, layer in enumerate(graph.layers) if is_copy(layer) or not layer.kind.does_work}
    beside: list[set[int]] = [set(before) for before in graph.predecessors]
    for index, before in enumerate(graph.predecessors):
        for earlier in before:
            beside[earlier].add(index)
    reached: set[int] = set()
    frontier = [index for index in range(len(graph.layers)) if index not in passes]
    while frontier:
        near = {other for index in frontier for other in beside[index] if other in passes} - reached
        reached |= near
        frontier = list(near)
    return frozenset(index for index in reached if is_copy(graph.layers[index]))
