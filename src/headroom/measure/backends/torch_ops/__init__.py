"""How each kind of work runs in PyTorch: one file per family, used by the eager backend and by the reference.

Whatever the records leave open (a window's padding, the dimensions of a reduction) is read off the shapes; what
cannot be read off raises :class:`~headroom.measure.bench.UnsupportedError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from headroom.graph.chain import Chain
from headroom.graph.layer import Layer
from headroom.graph.work import (
    Attention,
    Convolution,
    Elementwise,
    Embedding,
    Matmul,
    Movement,
    Normalization,
    Pooling,
    Recurrent,
    Reduction,
    Softmax,
)
from headroom.measure.backends.torch_ops import (
    attention,
    convolution,
    looking_up,
    movement,
    normalization,
    pointwise,
    pooling,
    product,
    recurrent,
    reduction,
)
from headroom.measure.backends.torch_ops.binding import Bind, Step, Tensors
from headroom.measure.bench import UnsupportedError

OPERATORS: dict[type[Any], Bind] = {
    Attention: attention.bind,
    Convolution: convolution.bind,
    Elementwise: pointwise.bind,
    Embedding: looking_up.bind_embedding,
    Matmul: product.bind,
    Movement: movement.bind,
    Normalization: normalization.bind,
    Pooling: pooling.bind,
    Recurrent: recurrent.bind,
    Reduction: reduction.bind,
    Softmax: reduction.bind_softmax,
}


def bind_layer(layer: Layer, constants: Tensors) -> Step:
    """The layer as a function of its operands.

    Raises:
        UnsupportedError: PyTorch has no operator for it, or its record does not tell enough.
    """
    bind = OPERATORS.get(type(layer.work))
    if bind is None:
        raise UnsupportedError(f"no implementation of {layer.step} in PyTorch")
    return bind(layer, constants)


def bind_chain(chain: Chain, constants: Tensors) -> Callable[[Tensors], tuple[Tensor, ...]]:
    """The chain as a function of its inputs and weights by name: its layers one after the other.

    Raises:
        UnsupportedError: a layer has no implementation here.
    """
    steps = [(bind_layer(layer, constants), tuple(out.name for out in layer.outputs)) for layer in chain.layers]
    wanted = tuple(out.name for out in chain.outputs)

    def run(tensors: Tensors) -> tuple[Tensor, ...]:
        values = dict(tensors)
        for step, names in steps:
            results = step(values)
            values.update(zip(names, results if isinstance(results, tuple) else (results,), strict=False))
        return tuple(values[name] for name in wanted)

    return run
