"""A PyTorch module as a model: Headroom names your own modules in its answers.

headroom analyze examples.pytorch_model:make_model --gpu h200 --batch 64
python examples/pytorch_model.py
"""

from __future__ import annotations

import torch
from torch import nn

import headroom as hr


class Mixer(nn.Module):
    """Two branches over the same input: a wide one and a cheap one, joined at the end."""

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.gate = nn.Sequential(nn.Linear(width, width), nn.Sigmoid())
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.gate(x) * self.wide(x))


def make_model() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """What ``headroom analyze package.module:callable`` calls: the module and example inputs."""
    return Mixer(), (torch.zeros(1, 196, 512),)


if __name__ == "__main__":
    module, example_inputs = make_model()
    for batch in (1, 64):
        graph = hr.load(module, example_inputs, batch=batch)
        analysis = hr.analyze(graph, gpu="h200", dtype="bf16")
        print(analysis.verdict)
        for finding in analysis.findings[:2]:
            print(f"  saves {finding.saves_us:.1f} us in {', '.join(finding.modules)}: {finding.action}")
