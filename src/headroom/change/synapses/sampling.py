"""A sample of what layers read, for correlating activations and for compensation. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headroom.change.synapses.slim import layer_of
from headroom.change.synapses.vectors import Floats, Grain
from headroom.errors import UsageError


def sample_inputs(
    network: nn.Module, batches: Iterable[Any], grains: Mapping[str, Grain], *, rows: int, seed: int = 0
) -> dict[str, Floats]:
    """Rows of the matrices that layers multiply: (at most rows, K, P) float32 per layer, on the CPU.

    Every batch gives each layer ``rows`` of its rows, drawn at random, and of all of them ``rows`` are drawn. Memory:
    ``rows`` rows per batch and layer. The network runs in evaluation mode and is left in the mode it was in.

    Args:
        batches: what the network is called with, one after the other.
        grains: the layers by name, and the grain of each.
        rows: samples to keep per layer: images times places for a convolution.
        seed: of the drawing.

    Raises:
        UsageError: a name is no linear layer or convolution, or one of them was never run.
    """
    found: dict[str, list[Floats]] = {name: [] for name in grains}
    draw = np.random.default_rng(seed)
    hooks = [
        layer_of(network, name).register_forward_pre_hook(partial(_take, found[name], grain, rows, draw))
        for name, grain in grains.items()
    ]
    training = [each for each in network.modules() if each.training]
    network.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for hook in hooks:
            hook.remove()
        for each in training:
            each.training = True
    never = [name for name, parts in found.items() if not parts]
    if never:
        raise UsageError(f"{', '.join(never)} read nothing on these batches; give batches that reach them")
    return {name: _drawn(np.concatenate(parts), rows, draw) for name, parts in found.items()}


def _take(
    kept: list[Floats], grain: Grain, rows: int, draw: np.random.Generator, layer: nn.Module, read: tuple[Any, ...]
) -> None:
    kept.append(_drawn(_matrix(layer, read[0], grain, rows, draw), rows, draw))


def _matrix(layer: nn.Module, inputs: torch.Tensor, grain: Grain, rows: int, draw: np.random.Generator) -> Floats:
    """What the layer multiplies its weight with: (rows, K, P)."""
    if not isinstance(layer, nn.Conv2d):
        rows_read: Floats = inputs.reshape(-1, inputs.shape[-1], 1).float().cpu().numpy()
        return rows_read
    inputs = inputs.reshape(-1, *inputs.shape[-3:])
    # More images than rows are never needed, and an im2col matrix is r s times the images.
    inputs = inputs[torch.from_numpy(np.sort(draw.permutation(len(inputs))[:rows])).to(inputs.device)]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = functional.pad(inputs.float(), layer._reversed_padding_repeated_twice, mode=mode)
    columns = functional.unfold(padded, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
    windows: Floats = columns.transpose(1, 2).flatten(0, 1).cpu().numpy()
    vectors = layer.in_channels if grain is Grain.CHANNEL else windows.shape[1]
    return windows.reshape(len(windows), vectors, -1)


def _drawn(matrix: Floats, rows: int, draw: np.random.Generator) -> Floats:
    return matrix if len(matrix) <= rows else matrix[np.sort(draw.choice(len(matrix), rows, replace=False))]
