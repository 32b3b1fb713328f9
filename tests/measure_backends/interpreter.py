"""Computes what a described graph of cuDNN says, node by node in PyTorch, from the memory that feeds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from headroom.measure.backends.cudnn.describe import Description
from headroom.measure.backends.geometry.memory import arranged
from headroom.measure.bench import Operands


def run(description: Description, operands: Operands) -> Tensor:
    """The result in the chain's own shape, as it would be read back from memory."""
    values: dict[int, Tensor] = {}
    for feed in description.feeds:
        tensor = arranged(feed.source(operands), feed.dims, feed.strides)
        values[feed.uid] = tensor.double()
    for tensor in description.graph.tensors.values():
        if tensor.is_pass_by_value:
            values[tensor.uid] = torch.tensor(tensor.pass_by_value, dtype=torch.float64)
    for node in description.graph.nodes:
        inputs = {port: values[tensor.uid] for port, tensor in node.inputs.items() if tensor is not None}
        output = next(iter(node.outputs.values()))
        values[output.uid] = _NODES[node.node_type.name](inputs, node.params, output)
    result = description.result
    computed = values[result.uid]
    assert tuple(computed.shape) == result.dims
    memory = torch.empty_strided(result.dims, result.strides, dtype=torch.float64).copy_(computed)
    if not result.layout:
        return memory.as_strided((memory.numel(),), (1,)).reshape(result.spec.shape)
    return memory.reshape(result.spec.shape)


def _padded(image: Tensor, params: dict[str, Any]) -> Tensor:
    pads = [p for both in zip(params["pre_padding"], params["post_padding"], strict=True) for p in both]
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    return functional.pad(image, [p for pair in reversed(pairs) for p in pair])


def _convolution(image: Tensor, weight: Tensor, params: dict[str, Any]) -> Tensor:
    convolve: Callable[..., Tensor] = functional.conv2d if image.dim() == 4 else functional.conv3d
    groups = image.shape[1] // weight.shape[1]
    return convolve(_padded(image, params), weight, None, params["stride"], 0, params["dilation"], groups)


def _forward(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    return _convolution(inputs["image"], inputs["weight"], params)


def _input_gradient(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    """The gradient by definition: what autograd makes of the forward convolution."""
    image = torch.zeros(tuple(output.dim), dtype=torch.float64, requires_grad=True)
    _convolution(image, inputs["filter"], params).backward(inputs["loss"])
    assert image.grad is not None
    return image.grad


def _weight_gradient(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    weight = torch.zeros(tuple(output.dim), dtype=torch.float64, requires_grad=True)
    _convolution(inputs["image"], weight, params).backward(inputs["loss"])
    assert weight.grad is not None
    return weight.grad


def _relu(x: Tensor, params: dict[str, Any]) -> Tensor:
    slope, low, high = params.get("negative_slope", 0.0), params.get("lower_clip", 0.0), params.get("upper_clip")
    below = low + slope * (x - low)
    kept = torch.where(x > low, x, below)
    return kept if high is None else kept.clamp(max=high)


_POINTWISE: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "gelu": functional.gelu,
    "gelu_approx_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "softplus": functional.softplus,
    "elu": functional.elu,
}


def _pointwise(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    mode, operands = params["mode"], list(inputs.values())
    if mode == "relu":
        return _relu(operands[0], params)
    if mode == "swish":
        return operands[0] * torch.sigmoid(params["swish_beta"] * operands[0])
    if mode == "relu_backward":
        return operands[0] * (operands[1] > 0)
    return _POINTWISE[mode](*operands)


def _layer_norm(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    x = inputs["input"]
    normal = functional.layer_norm(x, x.shape[1:], eps=float(inputs["epsilon"]))
    return normal * inputs["scale"] + inputs["bias"]


def _rms_norm(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    x = inputs["input"]
    return functional.rms_norm(x, x.shape[1:], eps=float(inputs["epsilon"])) * inputs["scale"]


def _instance_norm(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    normal = functional.instance_norm(inputs["input"], eps=float(inputs["epsilon"]))
    return normal * inputs["scale"] + inputs["bias"]


def _attention(inputs: dict[str, Tensor], params: dict[str, Any], output: Any) -> Tensor:
    query = inputs["q"]
    return functional.scaled_dot_product_attention(
        query, inputs["k"], inputs["v"], inputs.get("bias"), is_causal=params.get("use_causal_mask", False),
        scale=params["attn_scale"], enable_gqa=query.shape[1] != inputs["k"].shape[1],
    )  # fmt: skip


_NODES: dict[str, Callable[[dict[str, Tensor], dict[str, Any], Any], Tensor]] = {
    "CONV_FPROP": _forward,
    "CONV_DGRAD": _input_gradient,
    "CONV_WGRAD": _weight_gradient,
    "MATMUL": lambda inputs, params, output: torch.matmul(inputs["A"], inputs["B"]),
    "POINTWISE": _pointwise,
    "LAYERNORM": _layer_norm,
    "RMSNORM": _rms_norm,
    "INSTANCENORM": _instance_norm,
    "SDPA": _attention,
}
