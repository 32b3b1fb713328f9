"""Fashion-MNIST as tensors, and LeNet-5 in the form that the DeftNN paper's framework ships, trained on one core."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH, RATE = 3, 128, 2e-3
_MEAN, _SPREAD = 0.2860, 0.3530


def images(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised (N, 1, 28, 28) images and their labels; ``part`` is ``train`` or ``t10k``."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    values = (torch.from_numpy(pixels.copy()).float() / 255 - _MEAN) / _SPREAD
    return values, torch.from_numpy(labels.astype(np.int64))


def lenet() -> nn.Sequential:
    """Two convolutions of 5x5 and two linear layers: 20, 50, 500 and 10 wide."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


def trained(pixels: torch.Tensor, labels: torch.Tensor, seed: int) -> nn.Sequential:
    """LeNet-5 after a few epochs of Adam whose rate rises and falls once."""
    torch.manual_seed(seed)
    network = lenet()
    steps = EPOCHS * (len(pixels) // BATCH)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(pixels))
        for start in range(0, len(pixels) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            loss = nn.functional.cross_entropy(network(pixels[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def accuracy_pct(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, batch: int = 1000) -> float:
    """Share of right answers."""
    parts = zip(inputs.split(batch), labels.split(batch), strict=True)
    return 100 * sum(int((network(part).argmax(1) == truth).sum()) for part, truth in parts) / len(labels)
