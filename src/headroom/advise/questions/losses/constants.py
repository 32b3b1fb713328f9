"""Batch normalisation at inference works out the same constants again in every inference."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.batch_norm import bias_us
from headroom.advise.findings.common import counted
from headroom.advise.recorded import Recorded
from headroom.advise.settings import main_launch
from headroom.advise.timelines import Change
from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.work import Normalization

#: How far off the kernels that add the folded biases may be: seven runs of six networks lie within.
_BIAS_ERROR = 0.3

_FOLD = """\
from torch.fx.experimental.optimization import fuse

model = fuse(model.eval())  # every BatchNorm that follows a convolution, into its weights"""


def recomputed_constants(run: Recorded) -> Iterator[Finding]:
    """Folding BatchNorm into the convolution before it: its launches go, one that adds the bias stays."""
    graph = run.case.timed.graph
    folded = [r for r in run.execution.runs if r.launches and all(_folds(graph, layer) for layer in r.layers)]
    if not folded:
        return
    bias_host_us = _elementwise_host_us(run)
    change = Change()
    for each in folded:
        main = main_launch(run, each.launches)
        change |= _with_bias(
            run, run.without((*each.launches, *run.beside(each.layers))), main, each.layers, bias_host_us
        )
    saves_us, error_pct = run.timelines.saves(change)
    if not saves_us:
        return
    unsure_us = _BIAS_ERROR * sum(change.gpu_us.values())
    launches = [launch for each in folded for launch in (*each.launches, *run.beside(each.layers))]
    helpers = len(launches) - len(folded)
    yield run.finding(
        kind="recomputed_constants",
        title=f"{counted(len(folded), 'BatchNorm')} run as {len(launches)} launches on constants",
        action=(
            "Fold every BatchNorm into the weights of the convolution before it: its scale and shift are constants"
            + (f", and {helpers} launches only work them out again" if helpers else "")
            + f"; together they take {figures.time(run.time_us(launches))} of the GPU's time."
        ),
        layers=[layer for each in folded for layer in each.layers],
        saved=(saves_us, error_pct + 100 * unsure_us / saves_us),
        code=_FOLD,
        limits=(
            "Eager PyTorch adds the folded bias by a kernel of its own, which is taken off the saving; a compiled "
            "model adds it inside the convolution. A model that torch.fx cannot trace is folded pair by pair with "
            "torch.nn.utils.fusion.fuse_conv_bn_eval(conv, bn)."
        ),
    )


def _folds(graph: Graph, index: int) -> bool:
    """Whether a layer is a BatchNorm at inference that reads a convolution which nobody else reads."""
    layer = graph.layers[index]
    if not isinstance(layer.work, Normalization) or layer.work.group_elements or layer.work.function != "batch":
        return False
    before = [graph.layers[earlier] for earlier in graph.predecessors[index]]
    read = {tensor.name for tensor in layer.inputs}
    readers = sum(any(tensor.name in read for tensor in other.inputs) for other in graph.layers)
    return readers == 1 and any(earlier.kind is LayerKind.CONVOLUTION for earlier in before)


def _with_bias(run: Recorded, change: Change, main: int, layers: Sequence[int], bias_host_us: float) -> Change:
    """The launch that stays adds the folded bias: it costs the host one small operator."""
    host = list(change.host)
    if host:
        begin_us, end_us = host[0]
        host[0] = (min(end_us, begin_us + bias_host_us), end_us)
    graph = run.case.timed.graph
    added_us = sum(bias_us(graph.layers[layer].outputs[0].shape) for layer in layers)
    took_us = run.step.launches[main].duration_us
    return Change(change.launches - {main}, tuple(host), {main: min(took_us, added_us)})


def _elementwise_host_us(run: Recorded) -> float:
    """What the host usually spends on an operator of one elementwise kernel, as recorded."""
    graph = run.case.timed.graph
    kinds = {LayerKind.ELEMENTWISE, LayerKind.ACTIVATION}
    spent = [
        sum(run.step.calls[call].duration_us for call in each.calls if run.step.calls[call].parent is None)
        for each in run.execution.runs
        if len(each.launches) == 1 and all(graph.layers[layer].kind in kinds for layer in each.layers)
    ]
    return statistics.median([each for each in spent if each] or [_ELEMENTWISE_HOST_US])


#: The same where the step has no such operator.
_ELEMENTWISE_HOST_US = 11.0
