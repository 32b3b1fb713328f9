"""Batch, layer, group, instance and RMS normalisation.

Local response normalisation has no ATen operator: ``F.local_response_norm`` reaches the reader as the
multiplication, padding, pooling and division that PyTorch really launches.
"""

from __future__ import annotations

import math

from headroom.graph.torch.call import Call
from headroom.graph.torch.registry import operators
from headroom.graph.work import Normalization, Work

#: Flops per value: with constant statistics one scale and one shift; otherwise mean, difference, square
#: and sum, scale and shift as well.
_FOLDED, _MEASURED, _RMS = 2, 8, 5


@operators(
    "batch_norm",
    "native_batch_norm",
    "cudnn_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
)
def batch_norm(call: Call) -> Work:
    """Constant statistics at inference, unless the module keeps none."""
    values = call.first
    if call.get("training") and len(values.shape) > 1:
        return Normalization("batch", values.elements, values.elements // values.shape[1], _MEASURED)
    return Normalization("batch", values.elements, 0, _FOLDED)


@operators("layer_norm", "native_layer_norm")
def layer_norm(call: Call) -> Work:
    group = math.prod(call.arguments["normalized_shape"])
    return Normalization("layer", call.first.elements, group, _MEASURED)


@operators("rms_norm", "_fused_rms_norm")
def rms_norm(call: Call) -> Work:
    group = math.prod(call.arguments["normalized_shape"])
    return Normalization("rms", call.first.elements, group, _RMS)


@operators("_weight_norm", "_weight_norm_interface")
def weight_norm(call: Call) -> Work:
    """A weight rebuilt from direction and length at every call; one length per index of ``dim``."""
    direction, length = call.operand("v"), call.operand("g")
    return Normalization("weight", direction.elements, direction.elements // max(length.elements, 1), _RMS)


@operators("group_norm", "native_group_norm")
def group_norm(call: Call) -> Work:
    values = call.first
    groups = call.get("num_groups") or call.arguments["group"]
    return Normalization("group", values.elements, values.elements // (values.shape[0] * groups), _MEASURED)


@operators("instance_norm")
def instance_norm(call: Call) -> Work:
    values = call.first
    if call.get("use_input_stats"):
        return Normalization("instance", values.elements, math.prod(values.shape[2:]), _MEASURED)
    return Normalization("instance", values.elements, 0, _FOLDED)
