"""Which layers would be faster with fewer synapse vectors? (What :mod:`headroom.change.synapses` takes out.)

Whether vectors can go is in the weights and the data, which an analysis does not read. What can be said from time
alone is where it would pay: layers whose staircase along K falls by more than selecting their inputs costs, where they
have to be selected. The command looks at the rest, and only takes networks that it can run: the finding is for those.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from headroom import figures
from headroom.advise.analysis import Finding
from headroom.advise.findings.common import counted, make_finding
from headroom.advise.timed import TimedGraph
from headroom.advise.widths import ALIGNED
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.torch.callable import is_callable_address
from headroom.graph.uses import Uses
from headroom.graph.work import Convolution, Matmul, Movement
from headroom.predict.model import predict_layers

#: What the finding supposes to stay: networks commonly lose little by a quarter (``docs/synapses.md`` for one).
STAYS = 3 / 4
#: What keeps every channel by itself.
_CHANNELWISE = (LayerKind.ACTIVATION, LayerKind.NORMALIZATION, LayerKind.POOLING)
#: Fewest inputs of a layer that is looked at: below, nothing is left to choose among.
_FEWEST = 64
#: A change of the network's outputs asks for more than other findings do, as a share of the sequential bound.
WORTH_SHARE = 0.02


def synapse_findings(timed: TimedGraph) -> Iterator[Finding]:
    """One finding for all layers that a quarter fewer synapse vectors are predicted to make faster."""
    if not is_callable_address(timed.graph.name):
        return
    multiple = ALIGNED.get(timed.dtype, 1)
    pairs = ((each, fewer_inputs(each.layer, multiple)) for each in timed.graph.configurations)
    looked = [(configuration, found) for configuration, found in pairs if found is not None]
    uses = Uses(timed.graph.layers, timed.graph.outputs)
    asked = [layer for configuration, found in looked for layer in (configuration.layer, *found)]
    predicted = iter(predict_layers(asked, timed.gpu, timed.dtype, l2_state=timed.l2_state))
    layers: list[int] = []
    saves_us = 0.0
    for configuration, _ in looked:
        whole, smaller, selection = (next(predicted).time_us or 0.0 for _ in range(3))
        time_us = timed.times_us[configuration.members[0]]
        # A measured layer keeps its distance from the theory.
        gain_us = time_us * (1 - smaller / whole) if whole else 0.0
        for member in configuration.members:
            left_us = gain_us if has_own_producer(uses, member) else gain_us - selection
            if left_us > 0:
                layers.append(member)
                saves_us += left_us
    if saves_us < WORTH_SHARE * timed.sequential_us or not layers:
        return
    command = f"headroom slim {timed.graph.name} --gpu {timed.gpu.id} --batch {timed.graph.batch}"
    yield make_finding(
        timed,
        kind="synapses",
        title=f"{counted(len(layers), 'layer')} would be faster with fewer synapse vectors",
        action=f"See which synapse vectors can go: {command} --data package.module:callable says how many of each "
        f"layer, and what that loses. {figures.percent(1 - STAYS)} fewer inputs are supposed here.",
        layers=sorted(layers),
        saves_us=saves_us,
        code=command,
        limits="Outputs change: the analysis has seen neither weights nor data, so how many vectors can go, and at "
        "what loss, is for the command to find. What producers save that shrink as well is not counted.",
    )


def has_own_producer(uses: Uses, index: int) -> bool:
    """Whether a layer alone reads what one product makes, channel by channel: nothing has then to be selected."""
    layer = uses.layers[index]
    while uses.only_reader(layer.inputs[0].name) is not None:
        maker = uses.maker.get(layer.inputs[0].name)
        if maker is None or len(uses.layers[maker].inputs) != 1:
            return False
        layer = uses.layers[maker]
        if isinstance(layer.work, Convolution | Matmul):
            return bool(layer.weights)
        if layer.kind not in _CHANNELWISE or getattr(layer.work, "group_elements", None):
            return False
    return False


def fewer_inputs(layer: Layer, multiple: int) -> tuple[Layer, Layer] | None:
    """The layer with three quarters of its inputs, and their selection; ``None`` where it has none to lose."""
    work = layer.work
    if not layer.weights or len(layer.inputs) != 1:
        return None
    if isinstance(work, Convolution) and work.groups == 1 and work.direction == "forward":
        inputs, axis = work.in_channels, 1
    elif isinstance(work, Matmul) and work.batch == 1:
        inputs, axis = work.k, len(layer.inputs[0].shape) - 1
    else:
        return None
    stays = round(STAYS * inputs) // multiple * multiple
    if inputs < _FEWEST or stays < 1 or layer.inputs[0].shape[axis] != inputs:
        return None
    read = _with(layer.inputs[0], axis, stays)
    weight = layer.weights[0]
    columns = next((at for at, size in enumerate(weight.shape) if size == inputs and at == 1), 0)
    smaller = replace(
        layer,
        work=replace(work, in_channels=stays) if isinstance(work, Convolution) else replace(work, k=stays),
        inputs=(read,),
        weights=(_with(weight, columns, stays), *layer.weights[1:]),
        parts=(),
    )
    movement = Movement("gather", math.prod(read.shape), partial_read=True)
    return smaller, Layer(layer.name, "Gather", movement, layer.inputs, (), (read,))


def _with(tensor: TensorSpec, axis: int, size: int) -> TensorSpec:
    shape = list(tensor.shape)
    shape[axis] = size
    return TensorSpec(tensor.name, tuple(shape), tensor.element)
