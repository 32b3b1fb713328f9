"""Which layers stand off their step, so that they would take less time wider than they are?

Only widths that padding with zero channels could move count: not what the caller passes or gets, nor what a norm takes
its mean over, nor what an attention divides among heads. ``headroom fit`` decides with proof; this says whether to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.timed import TimedGraph
from headroom.advise.widths import rounded
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.torch.callable import is_callable_address
from headroom.graph.work import Convolution, Matmul, Normalization
from headroom.predict.model import predict_layers

#: Multiples that every width is rounded up to, one after the other: each is a network that padding can make.
_MULTIPLES = (8, 16, 32, 64)
#: A change of the network asks for more than other findings do, as a share of the sequential bound.
WORTH_SHARE = 0.02

#: Kinds that are as wide as what they read, and longer by as much.
_FOLLOWING = frozenset({LayerKind.NORMALIZATION, LayerKind.ACTIVATION, LayerKind.ELEMENTWISE, LayerKind.POOLING})
#: Kinds that count their channels.
_COUNTING = frozenset({LayerKind.ATTENTION, LayerKind.SOFTMAX, LayerKind.RECURRENT, LayerKind.UNKNOWN})


@dataclass(frozen=True)
class _Padded:
    """What all layers would save at widths rounded up to ``multiple``, and which of them change."""

    multiple: int
    saves_us: float
    layers: tuple[int, ...]


def step_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding for the layers that the best of a few round-ups makes faster, all it makes slower taken off."""
    graph = timed.graph
    movable = _movable(graph) if any(_odd(layer) for layer in graph.layers) else frozenset()
    if not movable:
        return
    best = max(_padded(timed, movable), key=lambda each: each.saves_us)
    if best.saves_us < WORTH_SHARE * timed.sequential_us or not best.layers:
        return
    known = is_callable_address(graph.name)
    target = graph.name if known else "package.module:callable"
    command = f"headroom fit {target} --gpu {timed.gpu.id} --batch {graph.batch}"
    share = figures.percent(best.saves_us / timed.sequential_us)
    yield make_finding(
        timed,
        kind="steps",
        title=f"{counted(len(best.layers), 'layer')} off their step: wider they would take less time, {share} in all",
        action=f"Pad with channels of zeros, which leaves the function as it is: {command} chooses each width and "
        f"proves it. Rounding all of them up to a multiple of {best.multiple} gives this much by itself.",
        layers=best.layers,
        saves_us=best.saves_us,
        code=command if known else "",
        limits="Which widths can move together is only known once they have been tried; those that cannot stay.",
    )


def _wide(layer: Layer) -> bool:
    """Whether the layer has an input and an output width of its own."""
    work = layer.work
    if isinstance(work, Convolution):
        return work.direction == "forward" and work.groups == 1 and len(layer.inputs) == 1
    return isinstance(work, Matmul) and work.batch == 1 and bool(layer.weights) and len(layer.inputs) == 1


def _odd(layer: Layer) -> bool:
    """Whether rounding up changes the layer."""
    return _wide(layer) and rounded(layer, max(_MULTIPLES)).work != layer.work


def _movable(graph: Graph) -> frozenset[str]:
    """Tensors whose channels padding could add to: those that nothing ties to what counts its channels."""
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    fixed = [tensor.name for tensor in (*graph.inputs, *graph.outputs)]
    for layer in graph.layers:
        names = [tensor.name for tensor in (*layer.inputs, *layer.outputs)]
        if _wide(layer) or not names:
            continue
        for name in names[1:]:
            above[root(name)] = root(names[0])
        if _counts(layer):
            fixed.append(names[0])
    still = {root(name) for name in fixed}
    tensors = (tensor.name for layer in graph.layers for tensor in (*layer.inputs, *layer.outputs))
    return frozenset(name for name in tensors if root(name) not in still)


def _counts(layer: Layer) -> bool:
    work = layer.work
    if isinstance(work, Normalization):
        return work.group_elements > 0
    return layer.kind in _COUNTING or isinstance(work, Matmul)


def _padded(timed: TimedGraph, movable: frozenset[str]) -> list[_Padded]:
    """Every width that can move at the next of each multiple: what the theory says of it, scaled as the layer's own
    time is.
    """
    changed = list(_changed(timed, movable))
    found = predict_layers([row.wider for row in changed], timed.gpu, timed.dtype, l2_state=timed.l2_state)
    theory = timed.theory or timed.predictions
    saves_us = {multiple: -_longer_us(timed, movable, multiple) for multiple in _MULTIPLES}
    layers: dict[int, list[int]] = {multiple: [] for multiple in _MULTIPLES}
    for row, wider in zip(changed, found, strict=True):
        before, after, now_us = theory[row.index].time_us, wider.time_us, timed.predictions[row.index].time_us
        if before and after and now_us is not None:
            configuration = timed.graph.configurations[row.index]
            saves_us[row.multiple] += configuration.count * now_us * (1 - after / before)
            layers[row.multiple] += configuration.members if after < before else ()
    return [_Padded(multiple, saves_us[multiple], tuple(sorted(layers[multiple]))) for multiple in _MULTIPLES]


@dataclass(frozen=True, slots=True)
class _Wider:
    """A configuration (by index) at widths rounded up to a multiple."""

    index: int
    multiple: int
    wider: Layer


def _changed(timed: TimedGraph, movable: frozenset[str]) -> Iterator[_Wider]:
    """Each configuration that is wider at a multiple, where it can be so in every place that it has."""
    for index, configuration in enumerate(timed.graph.configurations):
        layer = configuration.layer
        if not _wide(layer):
            continue
        places = [timed.graph.layers[at] for at in configuration.members]
        inputs = all(place.inputs[0].name in movable for place in places)
        outputs = all(place.outputs[0].name in movable for place in places)
        for multiple in _MULTIPLES:
            wider = rounded(layer, multiple, inputs=inputs, outputs=outputs)
            if wider.work != layer.work:
                yield _Wider(index, multiple, wider)


def _longer_us(timed: TimedGraph, movable: frozenset[str], multiple: int) -> float:
    """What the layers between them take longer, that are as wide as what they read."""
    total_us = 0.0
    for configuration, prediction in timed.pairs():
        layer = configuration.layer
        if _follows(layer, movable) and prediction.time_us is not None:
            shape = layer.outputs[0].shape
            width = shape[1] if len(shape) > 2 else shape[-1]
            total_us += configuration.count * prediction.time_us * (-(-width // multiple) * multiple / width - 1)
    return total_us


def _follows(layer: Layer, movable: Iterable[str]) -> bool:
    depthwise = isinstance(layer.work, Convolution) and not _wide(layer)
    return (layer.kind in _FOLLOWING or depthwise) and bool(layer.outputs) and layer.outputs[0].name in movable
