"""Matrix products: with stored weights (linear layers), and of two activations (attention)."""

from __future__ import annotations

import torch
from torch import Tensor

from headroom.change.widths.groups.labels import present, spread, varies
from headroom.change.widths.groups.operator_call import Call
from headroom.change.widths.groups.operators.registry import follows
from headroom.change.widths.groups.stored import Axis
from headroom.change.widths.groups.trace import ChannelTrace

_ROWS = "is a matrix's row and column at once, which one channel cannot be"


@follows("mm", "bmm", "addmm", "baddbmm", "linear", "matmul")
def product(trace: ChannelTrace, call: Call) -> None:
    """One product of matrices, in a batch or alone, with or without something added."""
    added = call.args[0] if call.name in ("addmm", "baddbmm") else None
    left, right = call.args[1:3] if added is not None else call.args[:2]
    result = call.results[0]
    if left.ndim < 2 or right.ndim < 2 or call.name == "linear":
        for each in (trace.labels(left), trace.labels(right)):
            if each is not None:
                trace.freeze(each, "enters a product of a form that is not followed")
        return
    if trace.elements(right) is not None:
        out = _with_weights(trace, left, right, result)
    elif trace.elements(left) is not None:
        turned = _with_weights(trace, right, left, result, weights_left=True)
        out = turned
    else:
        out = _of_activations(trace, trace.labels(left), trace.labels(right), result)
    if out is not None and added is not None:
        bias = trace.elements(added)
        if bias is not None:
            _tie_bias(trace, bias, out, result)
        elif (other := trace.labels(added)) is not None:
            trace.tie(out, other.broadcast_to(result.shape))
    trace.label(result, out)


def _tie_bias(trace: ChannelTrace, bias: Tensor, out: Tensor, result: Tensor) -> None:
    name = trace.atoms.holder(bias)
    if name is not None and bias.ndim == 1:
        trace.tie(out, trace.atoms.along(bias, Axis(name, 0)).broadcast_to(result.shape))


def _with_weights(
    trace: ChannelTrace, source: Tensor, weight: Tensor, result: Tensor, *, weights_left: bool = False
) -> Tensor | None:
    """``source @ weight``, or ``weight @ source`` where the weights stand left."""
    elements = trace.elements(weight)
    assert elements is not None
    labels = trace.labels(source)
    if weights_left:
        elements, labels = elements.mT, None if labels is None else labels.mT
    axes = _matrix_axes(trace, elements[0] if elements.ndim == 3 else elements)
    if axes is None:
        for each in (labels, trace.labels(weight)):
            if each is not None:
                trace.freeze(each, "enters a product whose weights are rearranged during the run")
        return None
    summed, chosen = axes
    matrix = elements[0] if elements.ndim == 3 else elements
    out = spread(trace.atoms.along(matrix[0], chosen), result.ndim - 1, _turned(result.shape, weights_left))
    if labels is not None:
        trace.step(labels)
        if matrix.shape[0] > 1 and not varies(trace.channels(labels), (labels.ndim - 1,)):
            # The product mixes places of one channel, not channels: tokens, say, in a mixer.
            out = labels.narrow(-1, 0, 1).expand(_turned(result.shape, weights_left))
            return out.mT if weights_left else out
        trace.tie(labels, spread(trace.atoms.along(matrix[:, 0], summed), labels.ndim - 1, labels.shape))
    trace.generators[chosen] = None
    trace.summed[summed] = None
    return out.mT if weights_left else out


def _turned(shape: torch.Size, turned: bool) -> torch.Size:
    return torch.Size((*shape[:-2], shape[-1], shape[-2])) if turned else shape


def _matrix_axes(trace: ChannelTrace, elements: Tensor) -> tuple[Axis, Axis] | None:
    """The stored axes along a matrix's rows and columns; ``None`` where they are no two axes of one tensor."""
    name = trace.atoms.holder(elements)
    if name is None:
        return None
    shape = trace.atoms.shapes[name]
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    along = {axis: trace.atoms.along(elements, Axis(name, axis)) for axis in range(len(shape))}
    rows = [axis for axis in wide if varies(along[axis], (0,))]
    columns = [axis for axis in wide if varies(along[axis], (1,))]
    if len(rows) > 1 or len(columns) > 1 or (rows and rows == columns):
        return None
    spare = [axis for axis in range(len(shape)) if axis not in rows and axis not in columns]
    if not rows and spare:
        rows = [spare.pop()]
    if not columns and spare:
        columns = [spare.pop()]
    return (Axis(name, rows[0]), Axis(name, columns[0])) if rows and columns else None


def _of_activations(trace: ChannelTrace, left: Tensor | None, right: Tensor | None, result: Tensor) -> Tensor | None:
    """Attention's two products: queries with keys, whose channels are summed over, and the result with values.

    Each matrix of the batch (a head) has products of its own, so that its channels cannot change places with another's.
    """
    step = trace.step()
    left_sums = left is not None and varies(trace.channels(left), (left.ndim - 1,))
    right_sums = right is not None and varies(trace.channels(right), (right.ndim - 2,))
    left_stays = left is not None and varies(trace.channels(left), (left.ndim - 2,))
    right_stays = right is not None and varies(trace.channels(right), (right.ndim - 1,))
    for labels, mixed in ((left, left_sums and left_stays), (right, right_sums and right_stays)):
        if labels is not None and mixed:
            trace.freeze(labels, _ROWS)
    if left_sums or right_sums:
        if left is not None and right is not None and left_sums and right_sums:
            trace.tie(left.unsqueeze(-1), right.unsqueeze(-3))
            trace.queries.append(present(left))
            _mark_heads(trace, left, step)
        else:
            one = left if left_sums else right
            assert one is not None
            trace.freeze(one, "is summed over in a product with what has no channels")
    if left_stays and right_stays:
        for labels in (left, right):
            assert labels is not None
            trace.freeze(labels, _ROWS)
    if right_stays and right is not None and not right_sums:
        _mark_heads(trace, right, step)
        return right.narrow(-2, 0, 1).expand(result.shape)
    if left_stays and left is not None and not left_sums:
        _mark_heads(trace, left, step)
        return left.narrow(-1, 0, 1).expand(result.shape)
    return _by_batch(trace, left, right, result) if not (left_sums or right_sums) else None


def _by_batch(trace: ChannelTrace, left: Tensor | None, right: Tensor | None, result: Tensor) -> Tensor | None:
    """Each channel has a matrix product of its own."""
    corners = [each.narrow(-1, 0, 1).narrow(-2, 0, 1) for each in (left, right) if each is not None]
    if len(corners) == 2:
        trace.tie(corners[0], corners[1])
    return corners[0].expand(result.shape) if corners else None


def _mark_heads(trace: ChannelTrace, labels: Tensor, step: int) -> None:
    if labels.ndim == 3:
        for head in range(labels.shape[0]):
            trace.mark(present(labels[head]), step, head)


@follows("embedding")
def embedding(trace: ChannelTrace, call: Call) -> None:
    """Rows of a table: its columns are channels."""
    elements = trace.elements(call.argument("weight"))
    name = None if elements is None else trace.atoms.holder(elements)
    if elements is None or name is None or elements.ndim != 2:
        return
    axes = _matrix_axes(trace, elements)
    if axes is not None:
        trace.generators[axes[1]] = None
        result = call.results[0]
        trace.label(result, spread(trace.atoms.along(elements[0], axes[1]), result.ndim - 1, result.shape))
