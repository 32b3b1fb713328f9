"""Tensors joined into one, and one taken apart."""

from __future__ import annotations

import torch

from headroom.graph.layer import Layer
from headroom.measure.backends.torch_ops.binding import Step
from headroom.measure.bench import UnsupportedError
from headroom.measure.roles import broadcasts_to, operands_of

Shape = tuple[int, ...]


def joined(layer: Layer) -> Step:
    """Along the dimension that grows; one tensor may be joined with itself, which the layer lists once."""
    names = [operand.name for operand in operands_of(layer)]
    shapes = {operand.name: operand.shape for operand in operands_of(layer)}
    out = layer.outputs[0].shape
    first = shapes[names[0]]
    if len(out) == len(first) + 1:
        dim = next((d for d in range(len(out)) if out[:d] + out[d + 1 :] == first), 0)
        count = out[dim]
        chosen = [names[i % len(names)] for i in range(count)]
        return lambda tensors: torch.stack([tensors[name] for name in chosen], dim)
    dim = _growing_dimension([shapes[name] for name in names], out)
    # One sample's token in front of every sample: the operand is spread before it is joined.
    spread = {name: (*out[:dim], shapes[name][dim], *out[dim + 1 :]) for name in names}
    repeats = out[dim] // sum(shapes[name][dim] for name in names)
    return lambda tensors: torch.cat([tensors[name].expand(spread[name]) for name in names] * repeats, dim)


def _growing_dimension(shapes: list[Shape], out: Shape) -> int:
    """The dimension along which tensors of ``shapes``, perhaps several times over, add up to ``out``."""
    for dim in range(len(out)):
        others = [shape[:dim] + shape[dim + 1 :] for shape in shapes if len(shape) == len(out)]
        rest = out[:dim] + out[dim + 1 :]
        total = sum(shape[dim] for shape in shapes if len(shape) == len(out))
        fits = len(others) == len(shapes) and all(broadcasts_to(other, rest) for other in others)
        if fits and 0 < total <= out[dim] and out[dim] % total == 0 and (len(shapes) > 1 or total < out[dim]):
            return dim
    raise UnsupportedError(f"tensors of {shapes} joined along one dimension do not give {out}")


def split(layer: Layer) -> Step:
    """Each part is copied, as runtimes without views do it."""
    source = layer.inputs[0]
    shapes = [out.shape for out in layer.outputs]
    dims = [
        d for d in range(len(source.shape)) if len(shapes[0]) == len(source.shape) and shapes[0][d] != source.shape[d]
    ]
    if len(dims) != 1:
        raise UnsupportedError(f"no dimension of {source.shape} is split into {shapes}")
    sizes = [shape[dims[0]] for shape in shapes]
    if sum(sizes) != source.shape[dims[0]]:
        raise UnsupportedError(f"parts of {sizes} do not add up to {source.shape[dims[0]]}")
    return lambda tensors: tuple(part.clone() for part in tensors[source.name].split(sizes, dims[0]))
