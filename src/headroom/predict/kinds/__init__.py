"""One file per family of layer kinds, and the table that says which predicts what."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headroom.graph.kinds import LayerKind
from headroom.predict.kinds.attention import predict_attention
from headroom.predict.kinds.context import Context, Predictor
from headroom.predict.kinds.gemm import predict_convolutions, predict_gemms
from headroom.predict.kinds.recurrent import predict_recurrent
from headroom.predict.kinds.streaming import predict_streams
from headroom.predict.kinds.unknown import predict_free, predict_unknown

#: Adding a kind means adding a file and a line here.
PREDICTORS: Mapping[LayerKind, Predictor] = MappingProxyType(
    {
        LayerKind.CONVOLUTION: predict_convolutions,
        LayerKind.MATMUL: predict_gemms,
        LayerKind.MATVEC: predict_streams,
        LayerKind.ATTENTION: predict_attention,
        LayerKind.RECURRENT: predict_recurrent,
        LayerKind.NORMALIZATION: predict_streams,
        LayerKind.POOLING: predict_streams,
        LayerKind.SOFTMAX: predict_streams,
        LayerKind.ACTIVATION: predict_streams,
        LayerKind.ELEMENTWISE: predict_streams,
        LayerKind.REDUCTION: predict_streams,
        LayerKind.MOVEMENT: predict_streams,
        LayerKind.EMBEDDING: predict_streams,
        LayerKind.FREE: predict_free,
        LayerKind.UNKNOWN: predict_unknown,
    }
)

__all__ = ["PREDICTORS", "Context", "Predictor"]
