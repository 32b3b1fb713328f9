"""Attention layers, fused and composed of separate products and softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headroom.advise.case import Case
from headroom.advise.measurements import usable
from headroom.graph.chain import Chain
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.predict.model import predict_layers
from headroom.predict.prediction import Source
from headroom.store.rows import Implementation, Timing

#: PyTorch's rows of attention are named ``attention flash``, ``attention cudnn``, …; this one composes it.
_COMPOSED = "attention math"


@dataclass(frozen=True, slots=True)
class AttentionWays:
    """One configuration of attention, times of one occurrence in microseconds.

    ``composed_us`` is ``None`` where nothing is known of it; ``in_pytorch_us`` is the fastest backend of
    ``scaled_dot_product_attention`` that was measured.
    """

    name: str
    count: int
    layers: tuple[int, ...]
    fused_us: float
    fused_source: Source
    fastest: Implementation | None
    composed_us: float | None
    composed_source: Source
    in_pytorch_us: float | None


def attention_ways(case: Case) -> tuple[AttentionWays, ...]:
    """Every attention configuration that has a time, in graph order."""
    timed = case.timed
    found = [
        (index, configuration, prediction)
        for index, (configuration, prediction) in enumerate(timed.pairs())
        if configuration.layer.kind is LayerKind.ATTENTION and prediction.time_us is not None
    ]
    rows = _rows(case, [configuration.layer for _, configuration, _ in found])
    ways = []
    for index, configuration, prediction in found:
        tried = rows.get(Chain.of([configuration.layer]).digest, ())
        composed = next((row for row in tried if row.implementation.name == _COMPOSED), None)
        pytorch = [row for row in tried if row.implementation.backend == "torch" and row is not composed]
        timing = timed.timing(index)
        composed_us = composed.median_us if composed else _predicted_us(case, configuration.layer)
        ways.append(
            AttentionWays(
                name=configuration.layer.name,
                count=configuration.count,
                layers=configuration.members,
                fused_us=prediction.time_us or 0.0,
                fused_source=prediction.source,
                fastest=None if timing is None else timing.implementation,
                composed_us=composed_us,
                composed_source=Source.MEASURED if composed else Source.PREDICTED,
                in_pytorch_us=pytorch[0].median_us if pytorch else None,
            )
        )
    return tuple(ways)


def _rows(case: Case, layers: Sequence[Layer]) -> Mapping[str, Sequence[Timing]]:
    if case.measurements is None or not layers:
        return {}
    tried = case.measurements.tried([Chain.of([layer]) for layer in layers], case.timed.dtype, case.timed.l2_state)
    return {digest: [row for row in rows if usable(row)] for digest, rows in tried.items()}


def _predicted_us(case: Case, layer: Layer) -> float | None:
    """What the layer's parts take one by one, by the theory; ``None`` where a part is unknown or only rows count."""
    if not layer.parts or not case.timed.theory_fills:
        return None
    timed = case.timed
    times = [p.time_us for p in predict_layers(layer.parts, timed.gpu, timed.dtype, l2_state=timed.l2_state)]
    return None if None in times else sum(time for time in times if time is not None)
