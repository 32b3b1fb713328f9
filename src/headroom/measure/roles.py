"""Which operand of a layer is what: the record of a layer's work holds sizes, the layer holds tensors in order.

Every backend and the reference read the roles here, so that all of them compute the same function even where the
shapes alone would allow two readings (a square weight may be stored transposed; no time depends on that choice).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from headroom.graph.chain import FLOATING, Chain
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution, Matmul
from headroom.measure.bench import UnsupportedError

Shape = tuple[int, ...]

#: Bounds of ``clip``, which no record holds: those of the most common one, ReLU6.
CLIP_BOUNDS = (0.0, 6.0)

#: Slope of ``leakyrelu`` for negative values, likewise.
LEAKY_SLOPE = 0.01

#: Second operand of a function of two where the model wrote a number, which no record holds either.
NUMBERS = {"add": 1.0, "sub": 1.0, "mul": 2.0, "div": 2.0, "max": 0.0, "min": 0.0}


def operands_of(layer: Layer) -> tuple[TensorSpec, ...]:
    """Everything the layer reads: activations in order, then constants in order."""
    return (*layer.inputs, *layer.weights)


def places_of(chain: Chain) -> tuple[TensorSpec, ...]:
    """Outputs of which a tensor has to be there beforehand: of layers that read nothing, and of casts.

    The first are written into it, the second take their data type from it.
    """
    return tuple(
        out
        for layer in chain.layers
        if not operands_of(layer) or getattr(layer.work, "function", "") == "cast"
        for out in layer.outputs
    )


@dataclass(frozen=True, slots=True)
class ConvolutionRoles:
    """Names of a convolution's tensors. For ``wgrad``, ``filter`` is the gradient of the output, in its shape."""

    data: str
    filter: str
    bias: str | None


def convolution_roles(layer: Layer) -> ConvolutionRoles:
    """The tensors of a convolution, forward, transposed or a gradient.

    Raises:
        UnsupportedError: an operand is no floating-point tensor, or there is one too many (offsets, zero points).
    """
    work = layer.work
    assert isinstance(work, Convolution)
    operands = list(operands_of(layer))
    if any(operand.element != FLOATING for operand in operands):
        raise UnsupportedError("the convolution's operands are not floating-point tensors")
    data = _take(operands, (work.batch, work.in_channels, *work.in_size), "data")
    second = _take(operands, filter_shape(work), "filter")
    bias = _take(operands, (work.out_channels,), "bias") if operands else None
    if operands:
        raise UnsupportedError(f"the convolution reads {len(operands)} operands more than data, filter and bias")
    return ConvolutionRoles(data.name, second.name, bias.name if bias else None)


def filter_shape(work: Convolution) -> Shape:
    """Shape of the second operand: the filter, or for ``wgrad`` the gradient of the output."""
    if work.direction == "wgrad":
        return (work.batch, work.out_channels, *work.out_size)
    if work.direction == "dgrad":
        return (work.in_channels, work.out_channels // work.groups, *work.kernel)
    return (work.out_channels, work.in_channels // work.groups, *work.kernel)


def _take(operands: list[TensorSpec], shape: Shape, role: str) -> TensorSpec:
    """Remove and return the first operand of that shape; one sample may lack its batch dimension."""
    for i, operand in enumerate(operands):
        if operand.shape in (shape, shape[1:] if shape[0] == 1 and len(shape) > 2 else shape):
            return operands.pop(i)
    raise UnsupportedError(f"no operand of the convolution has the {role}'s shape {shape}")


@dataclass(frozen=True, slots=True)
class ProductRoles:
    """``left @ right + addends``. Each factor is viewed in its shape here and then, if so marked, transposed."""

    left: str
    right: str
    left_shape: Shape
    right_shape: Shape
    transpose_left: bool
    transpose_right: bool
    addends: tuple[str, ...]


def product_roles(layer: Layer) -> ProductRoles:
    """How the operands of a matrix product are multiplied to give its output.

    Of several readings that give the output's shape, the first is taken: operands in their order, neither
    transposed, then the right one transposed (a linear layer's weight), then the left one. A product whose operands
    stand in another order of dimensions (an einsum) runs as the plain batched product of the same size.

    Raises:
        UnsupportedError: no two operands multiply to the output.
    """
    work = layer.work
    assert isinstance(work, Matmul)
    operands = operands_of(layer)
    if any(operand.element != FLOATING for operand in operands):
        raise UnsupportedError("the product's operands are not floating-point tensors")
    if len(operands) == 1:
        operands = operands * 2
    out = layer.outputs[0].shape
    for left, right in permutations(operands, 2):
        addends = _without(operands, left, right)
        if any(not broadcasts_to(addend.shape, out) for addend in addends):
            continue
        for left_shape, right_shape in _views(left.shape, right.shape, out, work):
            for transpose_right, transpose_left in product((False, True), (False, True)):
                a = _swapped(left_shape) if transpose_left else left_shape
                b = _swapped(right_shape) if transpose_right else right_shape
                if _product_fits(a, b, out, work):
                    names = tuple(addend.name for addend in addends)
                    return ProductRoles(
                        left.name, right.name, left_shape, right_shape, transpose_left, transpose_right, names
                    )
    shapes = " and ".join("x".join(map(str, operand.shape)) for operand in operands)
    raise UnsupportedError(f"no product of operands of {shapes} gives {'x'.join(map(str, out))}")


def _without(operands: Sequence[TensorSpec], *taken: TensorSpec) -> list[TensorSpec]:
    rest = list(operands)
    for operand in taken:
        rest.remove(operand)
    return rest


def _views(left: Shape, right: Shape, out: Shape, work: Matmul) -> Iterator[tuple[Shape, Shape]]:
    """Shapes to view the factors in: their own, the left one flattened, and the plain batched product."""
    yield left, right
    if len(left) > 2:
        yield (left[0], math.prod(left[1:])), right
    sizes = (math.prod(left), math.prod(right), math.prod(out))
    if sizes == tuple(work.batch * part for part in (work.m * work.k, work.k * work.n, work.m * work.n)):
        yield (work.batch, work.m, work.k), (work.batch, work.k, work.n)


def _swapped(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if len(shape) > 1 else shape


def _product_fits(left: Shape, right: Shape, out: Shape, work: Matmul) -> bool:
    """Whether ``left @ right`` sums over k and gives as many elements as the output, in its shape or reshaped."""
    if not left or not right or left[-1] != work.k or right[-2 if len(right) > 1 else 0] != work.k:
        return False
    rows, columns = (left if len(left) > 1 else (1, *left)), (right if len(right) > 1 else (*right, 1))
    batch = broadcast(rows[:-2], columns[:-2])
    if batch is None:
        return False
    result = (*batch, *((rows[-2],) if len(left) > 1 else ()), *((columns[-1],) if len(right) > 1 else ()))
    plain = len(left) == 3 == len(right) and result == (work.batch, work.m, work.n)
    return result == out or (plain and math.prod(result) == math.prod(out))


def broadcast(left: Shape, right: Shape) -> Shape | None:
    """The common shape of two operands, or ``None`` if they have none."""
    rank = max(len(left), len(right))
    pairs = list(zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        return None
    return tuple(b if a == 1 else a for a, b in pairs)


def broadcasts_to(shape: Shape, target: Shape) -> bool:
    """Whether an operand of ``shape`` spreads over ``target`` without growing it."""
    return broadcast(shape, target) == target
