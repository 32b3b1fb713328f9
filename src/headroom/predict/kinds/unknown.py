"""Layers without a time: free ones cost nothing, unknown ones are said to be unknown."""

from __future__ import annotations

from collections.abc import Sequence

from headroom.graph.layer import Layer
from headroom.graph.work import Unknown
from headroom.predict.kinds.context import Context
from headroom.predict.prediction import Bottleneck, Prediction, Source


def predict_free(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """A view launches nothing: its time is zero, exactly."""
    free = Prediction(0.0, 0.0, Source.PREDICTED, Bottleneck.UNKNOWN, 0.0, algorithm="view")
    return [free for _ in layers]


def predict_unknown(layers: Sequence[Layer], context: Context) -> list[Prediction]:
    """No time, and the reason."""
    return [_unknown(layer) for layer in layers]


def _unknown(layer: Layer) -> Prediction:
    reason = layer.work.reason if isinstance(layer.work, Unknown) else "no rule for this operator"
    return Prediction(
        None, None, Source.UNKNOWN, Bottleneck.UNKNOWN, 0.0, notes=(f"no prediction for {layer.operator}: {reason}",)
    )
