"""What a layer computes, in a few characters: the shape column of every table."""

from __future__ import annotations

from headroom.graph.layer import Layer
from headroom.graph.work import Attention, Convolution, Matmul, Recurrent


def shape_text(layer: Layer) -> str:
    """The geometry that a reader needs to recognise a layer.

    Convolutions read ``in -> out`` with filter and stride, products ``batch x (m x k)(k x n)``, and all else
    the shapes of its first operand and its output.
    """
    work = layer.work
    if isinstance(work, Convolution):
        return _convolution(work)
    if isinstance(work, Matmul):
        batch = f"{work.batch} × " if work.batch > 1 else ""
        return f"{batch}({work.m}×{work.k})({work.k}×{work.n})"
    if isinstance(work, Attention):
        return f"{work.batch}×{work.heads} heads, {work.query_length}×{work.key_length}, d {work.head_dim}" + (
            ", causal" if work.causal else ""
        )
    if isinstance(work, Recurrent):
        return f"{work.cell} {work.batch}×{work.length}×{work.input_size} → {work.hidden_size}, {work.layers} deep"
    return _tensors(layer)


def _convolution(work: Convolution) -> str:
    before = _by((work.batch, work.in_channels, *work.in_size))
    after = _by((work.batch, work.out_channels, *work.out_size))
    parts = [_by(work.kernel)]
    if any(step != 1 for step in work.stride):
        parts.append(f"stride {_squeezed(work.stride)}")
    if any(step != 1 for step in work.dilation):
        parts.append(f"dilation {_squeezed(work.dilation)}")
    if work.groups > 1:
        parts.append("depthwise" if work.is_depthwise else f"{work.groups} groups")
    if work.direction != "forward":
        parts.append(work.direction)
    return f"{before} → {after}, {', '.join(parts)}"


def _tensors(layer: Layer) -> str:
    operands = layer.inputs or layer.weights
    before = _by(operands[0].shape) if operands else ""
    after = _by(layer.outputs[0].shape) if layer.outputs else ""
    if not before or before == after:
        return after or before
    return f"{before} → {after}" if after else before


def _by(sizes: tuple[int, ...]) -> str:
    return "×".join(map(str, sizes)) if sizes else "scalar"


def _squeezed(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else _by(sizes)
