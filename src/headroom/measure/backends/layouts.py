"""Which orders of dimensions in memory a chain can be run in."""

from __future__ import annotations

from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Movement
from headroom.measure.task import Task

#: Kinds whose tensors are matrices or sequences whatever their number of dimensions.
_WITHOUT_LAYOUT = frozenset(
    {LayerKind.MATMUL, LayerKind.MATVEC, LayerKind.ATTENTION, LayerKind.RECURRENT, LayerKind.EMBEDDING}
)


def layouts_of(task: Task) -> tuple[str, ...]:
    """The layouts of ``task`` that differ for its chain: ``("",)`` where tensors have no channels and space."""
    anchor = task.chain.anchor
    if anchor.kind in _WITHOUT_LAYOUT or _reorders(anchor) or _normalises_rows(anchor):
        return ("",)
    tensors = (*anchor.inputs, *anchor.outputs)
    if any(len(tensor.shape) in (4, 5) for tensor in tensors):
        return task.layouts
    return ("nchw",) if anchor.kind is LayerKind.CONVOLUTION else ("",)


def _reorders(layer: Layer) -> bool:
    """A transposition says itself how its operand lies in memory."""
    return isinstance(layer.work, Movement) and (bool(layer.work.axes) or "transpose" in layer.work.function)


def _normalises_rows(layer: Layer) -> bool:
    """Layer normalisation and softmax along the last dimension: rows have to lie together."""
    work = layer.work
    length = getattr(work, "row_elements", 0) or (
        getattr(work, "group_elements", 0) if getattr(work, "function", "") in ("layer", "rms") else 0
    )
    shape = layer.outputs[0].shape
    return bool(length) and bool(shape) and shape[-1] == length
