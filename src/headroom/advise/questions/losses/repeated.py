"""Work done twice: two layers that compute the same of the same operands, or one layer that ran more than once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.case import Case
from headroom.advise.execution import OtherRun
from headroom.advise.findings.common import counted
from headroom.advise.questions.losses.spared import spared_launches, spared_layers
from headroom.advise.recorded import Recorded
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer

#: Kinds whose work and operands say all that decides the result.
_TOLD_WHOLE = frozenset(
    {LayerKind.CONVOLUTION, LayerKind.MATMUL, LayerKind.MATVEC, LayerKind.ATTENTION, LayerKind.SOFTMAX}
)

#: Functions of their operands alone.
_WITHOUT_PARAMETERS = frozenset(
    {"relu", "sigmoid", "tanh", "gelu", "swish", "silu", "erf", "exp", "sqrt", "neg", "add", "sub", "mul", "div"}
)

#: Operators that the graph has as views, and whose results differ all the same.
_RANDOM = frozenset({"dropout", "slice", "split", "chunk", "narrow", "select"})

_LIMITS = "Layers that draw random numbers (dropout in training) are meant to differ and must stay."


def repeated_layers(case: Case) -> Iterator[Finding]:
    """Layers of the model that give what an earlier layer gave: the same work on the same tensors and weights."""
    graph = case.timed.graph
    again = _again(graph)
    if not again:
        return
    first, later = graph.layers[again[0][0]], graph.layers[again[0][1]]
    title = f"{counted(len(again), 'layer')} computed twice"
    action = f"Compute {first.name} once and use its result where {later.name} computes it again."
    code = f"y = self.{first.module or first.name}(x)  # once, kept for both"
    layers = [index for _, index in again]
    yield spared_layers(case, "repeated_work", title, action, layers, code=code, limits=_LIMITS)


def repeated_runs(run: Recorded) -> Iterator[Finding]:
    """Launches beyond a layer's own that do what the layer does: the same kernels, asked for by the same operator."""
    found = [other for other in run.execution.others if other.purpose == "unknown" and _repeats(run, other)]
    launches = [launch for other in found for launch in other.launches]
    layers = run.layers(launches)
    yield from spared_launches(
        run,
        kind="repeated_work",
        title=f"{counted(len(layers), 'layer')} ran more than once",
        action=(
            f"Call {', '.join(run.case.timed.names(layers[:3]))} once per inference and keep the result: the second "
            f"run takes {figures.time(run.time_us(launches))} of the GPU's time."
        ),
        launches=launches,
        code=f"y = {run.case.timed.graph.layers[layers[0]].module or 'layer'}(x)  # once" if layers else "",
        limits="The profile tells shapes, not values: since the model has the layer once, both are taken as equal.",
    )


def _again(graph: Graph) -> list[tuple[int, int]]:
    """(first, again): pairs of layers with equal work on the same tensors."""
    same: dict[str, str] = {}
    seen: dict[object, int] = {}
    pairs = []
    for index, layer in enumerate(graph.layers):
        if not layer.inputs or not _is_told_whole(layer):
            continue
        reads = tuple(same.get(tensor.name, tensor.name) for tensor in layer.inputs)
        weights = tuple(tensor.name for tensor in layer.weights)
        key = (layer.operator, layer.work, reads, weights, tuple(t.shape for t in layer.outputs))
        first = seen.setdefault(key, index)
        if first == index:
            continue
        # What reads the second of two equal results reads, in effect, the first: equal chains are found whole.
        earlier = graph.layers[first].outputs
        same |= {t.name: same.get(e.name, e.name) for t, e in zip(layer.outputs, earlier, strict=True)}
        if layer.kind.does_work:
            pairs.append((first, index))
    return pairs


def _is_told_whole(layer: Layer) -> bool:
    """Whether equal work on equal tensors gives equal values: a slice's offset or a random mask is not in the work."""
    if layer.kind in _TOLD_WHOLE or not layer.kind.does_work:
        return layer.operator.rpartition(":")[2].lower() not in _RANDOM
    return str(getattr(layer.work, "function", "")) in _WITHOUT_PARAMETERS


def _repeats(run: Recorded, other: OtherRun) -> bool:
    """Whether the same kernels ran for an operator on operands of the same shapes as those of the layer nearby."""
    if other.near is None:
        return False
    own = [each for each in run.execution.runs if other.near in each.layers]
    names = {launch.name for each in own for launch in run.execution.launches(each)}
    if not any(launch.name in names for launch in run.execution.launches(other)):
        return False
    if run.case.timed.graph.layers[other.near].kind is LayerKind.EMBEDDING and not _shapes(run, other.launches):
        # Every table is looked up by the same kernel: nothing tells which one was.
        return False
    return any(_shapes(run, other.launches) == _shapes(run, each.launches) for each in own)


def _shapes(run: Recorded, launches: Iterable[int]) -> list[tuple[tuple[int, ...], ...]]:
    """The shapes of what the operators behind ``launches`` read; none where the profile does not tell."""
    calls = sorted({chain[0] for chain in map(run.chain, launches) if chain})
    told = (tuple(operand.dims for operand in run.step.calls[call].operands) for call in calls)
    return [shapes for shapes in told if shapes]
