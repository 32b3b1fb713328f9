"""A gathered layer as a program that the stopwatch can time. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from headroom.change.synapses.kernels.layers import GatheredLayer


class LayerProgram:
    """A module on fixed inputs: its launches allocate from PyTorch's pool, which a CUDA graph's capture keeps."""

    workspace_bytes = 0

    def __init__(self, layer: GatheredLayer | Any, inputs: torch.Tensor) -> None:
        self._layer, self._inputs = layer, inputs
        self._out: torch.Tensor | None = None
        self.launch()  # compiles and loads the kernel, which must not happen inside a capture

    def launch(self) -> None:
        with torch.no_grad():
            self._out = self._layer(self._inputs)

    def outputs(self) -> Sequence[torch.Tensor]:
        assert self._out is not None
        return (self._out,)
