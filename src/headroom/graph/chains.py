"""Which layers of a model could run as one kernel.

A chain is followed from its first layer as long as each result has exactly one reader, so that the value between
them never has to leave the chip. Only combinations with a known fused implementation are joined:

* convolution or matrix product + folded BatchNorm, bias, activation, residual add (cuDNN's pointwise epilogues,
  cuBLASLt's epilogues),
* normalisation + elementwise work, and chains of elementwise work (one kernel of any deep-learning compiler).
"""

from __future__ import annotations

from collections.abc import Sequence

from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.work import Normalization

GEMMS = frozenset({LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC})
_POINTWISE = frozenset({LayerKind.ELEMENTWISE, LayerKind.ACTIVATION})
_ANCHORS = GEMMS | _POINTWISE | {LayerKind.NORMALIZATION}

#: Most layers in one kernel: what torch.compile fuses at most (``torch._inductor.config.max_fusion_size``). Whoever
#: measures chains and whoever answers from them have to cut long ones at the same places.
LONGEST_KERNEL = 64


def fusible_chains(graph: Graph, longest: int | None = None) -> list[list[int]]:
    """Chains that could be one kernel, as indices into ``graph.layers``, of at most ``longest`` layers each."""
    key = (fusible_chains, longest)
    if key not in graph.remembered:
        graph.remembered[key] = _find_chains(graph, longest)
    return [list(chain) for chain in graph.remembered[key]]


def _find_chains(graph: Graph, longest: int | None) -> list[list[int]]:
    readers: dict[str, list[int]] = {}
    for index, layer in enumerate(graph.layers):
        for tensor in layer.inputs:
            readers.setdefault(tensor.name, []).append(index)
    kept = {tensor.name for tensor in graph.outputs}
    taken: set[int] = set()
    chains = []
    for index, layer in enumerate(graph.layers):
        if index in taken or layer.kind not in _ANCHORS:
            continue
        chain = [index]
        while (following := _only_reader(graph.layers[chain[-1]], readers, kept)) is not None:
            if (
                len(chain) == longest
                or following in taken
                or not _can_follow(layer, graph.layers[chain[-1]], graph.layers[following])
            ):
                break
            chain.append(following)
        if len(chain) > 1:
            taken.update(chain)
            chains.append(chain)
    return chains


def segments(layers: Sequence[Layer]) -> list[tuple[int, int]]:
    """The parts of a chain that are worth timing as one kernel, as (start, stop), the whole chain first.

    Libraries fuse a product with what follows it up to the first activation; where the chain goes on, that part and
    the rest are timed as well, so that the chain's time can be put together from whatever ran.
    """
    stop = next((i + 1 for i, layer in enumerate(layers) if layer.kind is LayerKind.ACTIVATION), len(layers))
    parts = [(0, len(layers)), (0, stop), (stop, len(layers))]
    return [part for part in dict.fromkeys(parts) if part[1] - part[0] > 1]


def _only_reader(layer: Layer, readers: dict[str, list[int]], kept: set[str]) -> int | None:
    """The one layer that reads ``layer``'s one output, if that is so and nobody else needs it."""
    outputs = [tensor.name for tensor in layer.outputs if tensor.name in readers or tensor.name in kept]
    if len(outputs) != 1 or outputs[0] in kept or len(readers[outputs[0]]) != 1:
        return None
    return readers[outputs[0]][0]


def _can_follow(anchor: Layer, tail: Layer, layer: Layer) -> bool:
    folded = isinstance(layer.work, Normalization) and layer.work.group_elements == 0
    if layer.kind not in _POINTWISE and not (folded and anchor.kind in GEMMS):
        return False
    # A broadcast that grows the tensor belongs to its reader's size, not to this kernel's.
    return layer.outputs[0].elements == tail.outputs[0].elements
