"""Random weights for a model that is known by its graph alone, scaled so that activations stay finite in 16 bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from headroom.graph.graph import Graph
from headroom.graph.kinds import LayerKind
from headroom.graph.layer import Layer
from headroom.graph.tensor import FIXED_WIDTH_BYTES, TensorSpec

if TYPE_CHECKING:
    import torch

#: A constant of the model: its name and shape. One stored weight may be read in two shapes.
Key = tuple[str, tuple[int, ...]]


def key_of(spec: TensorSpec) -> Key:
    return spec.name, spec.shape


def random_weights(graph: Graph, dtype: torch.dtype, device: torch.device) -> dict[Key, torch.Tensor]:
    """A tensor per constant of ``graph``."""
    weights: dict[Key, torch.Tensor] = {}
    for layer in graph.layers:
        for spec in layer.weights:
            if key_of(spec) not in weights:
                weights[key_of(spec)] = _random(layer, spec, dtype, device)
    return weights


def _random(layer: Layer, spec: TensorSpec, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Factors of products keep the variance of what they multiply; everything else is positive and about one,
    which suits scales, shifts, means and variances alike.
    """
    import torch

    if spec.element == "bool":
        return torch.ones(spec.shape, dtype=torch.bool, device=device)
    if spec.element in FIXED_WIDTH_BYTES:
        # An index: every dimension that is indexed holds two values.
        return torch.randint(2, spec.shape, device=device).to(getattr(torch, spec.element))
    gemm = layer.gemm
    if gemm is not None and len(spec.shape) > 1:
        return (torch.randn(spec.shape, device=device) / math.sqrt(gemm.k)).to(dtype)
    if layer.kind.computes_gemm or layer.kind is LayerKind.EMBEDDING:
        return torch.randn(spec.shape, dtype=dtype, device=device)
    return (0.5 + torch.rand(spec.shape, device=device)).to(dtype)
