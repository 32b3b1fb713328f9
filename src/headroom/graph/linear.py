"""A product with a weight and the bias added to it, joined into the linear layer that it was.

Exporters write ``torch.nn.Linear`` on more than two dimensions as MatMul and Add; every library adds the bias
inside the product's kernel.
"""

from __future__ import annotations

from collections.abc import Iterable

from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.uses import Uses, joined
from headroom.graph.work import Elementwise, Matmul


def join_bias(layers: tuple[Layer, ...], outputs: Iterable[TensorSpec]) -> tuple[Layer, ...]:
    """Replace every product with a weight and its bias by one layer that keeps both as parts."""
    uses = Uses(layers, outputs)
    replaced: dict[int, Layer] = {}
    taken: set[int] = set()
    for index, layer in enumerate(layers):
        follower = _bias_of(uses, layer)
        if follower is not None:
            taken |= {index, follower}
            replaced[follower] = _linear(layer, layers[follower])
    return joined(layers, replaced, taken)


def _bias_of(uses: Uses, layer: Layer) -> int | None:
    """The addition of one constant per output feature that alone reads a product."""
    work = layer.work
    if not isinstance(work, Matmul) or len(layer.weights) != 1 or len(layer.outputs) != 1 or layer.parts:
        return None
    result = layer.outputs[0]
    follower = uses.only_reader(result.name)
    if follower is None or result.shape[-1:] != (work.n,):
        return None
    addition = uses.layers[follower]
    adds = isinstance(addition.work, Elementwise) and addition.work.function == "add"
    if not adds or len(addition.inputs) != 1 or len(addition.weights) != 1:
        return None
    bias = addition.weights[0]
    return follower if bias.elements == work.n and bias.shape[-1:] == (work.n,) else None


def _linear(product: Layer, addition: Layer) -> Layer:
    return Layer(
        name=product.name,
        operator="Gemm",
        work=product.work,
        inputs=product.inputs,
        weights=(*product.weights, *addition.weights),
        outputs=addition.outputs,
        module=product.module or addition.module,
        parts=(product, addition),
    )
