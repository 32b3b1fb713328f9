"""The field's reference for products: a learned utilisation per tile, as NeuSight has it (Lee et al., ASPLOS 2025).

The time of a kernel is its waves times the time of one tile, which is the tile's roofline on one SM over a utilisation;
that is ``alpha - beta / waves``, with alpha and beta learned by a small network from the tile's and the GPU's figures.
The kernel's own tile is given. Nothing but this file learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tables import Cases

#: Width of the two hidden layers, steps of training, and rows of each table that a step looks at.
WIDTH, STEPS, ROWS = 32, 800, 1500

LEARNING_RATE = 3e-3


def _figures(case: Cases) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each row's features (R, F), the time of one tile at its roofline in microseconds, and waves."""
    work, tiles, gpu = case.work, case.tiles, case.gpu
    k = np.ceil(work.k / tiles.splits)
    ctas = np.ceil(work.m / tiles.m) * np.ceil(work.n / tiles.n) * work.batch * tiles.splits
    arithmetic = 2 * tiles.m * tiles.n * k / (gpu.peak_tflops(case.dtype) * 1e6 / gpu.sms)
    moved = ((tiles.m + tiles.n) * k + tiles.m * tiles.n) * case.dtype.bytes
    memory = moved / (gpu.dram_peak_gbs * 1e3 / gpu.sms)
    waves = np.ceil(ctas / gpu.sms)
    kept = moved * np.minimum(ctas, gpu.sms) / gpu.l2.size_bytes
    columns = [arithmetic, memory, waves, kept, tiles.m, tiles.n, k, arithmetic / memory]
    return np.log(np.column_stack(columns)), np.maximum(arithmetic, memory), waves


class TileUtilization:
    """Learned on some GPUs' rows; a constant of each table is learned beside and thrown away."""

    def __init__(self, cases: Sequence[Cases]) -> None:
        torch.manual_seed(0)
        parts = [(_figures(case), case.measured_us) for case in map(_thinned, cases)]
        features = np.concatenate([figures[0] for figures, _ in parts])
        self._mean, self._spread = features.mean(axis=0), features.std(axis=0)
        layers = [torch.nn.Linear(features.shape[1], WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, WIDTH)]
        self._network = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.Linear(WIDTH, 2)).double()
        of_table = torch.tensor(np.concatenate([np.full(len(m), i) for i, (_, m) in enumerate(parts)]))
        tile_us, waves = (torch.tensor(np.concatenate([figures[i] for figures, _ in parts])) for i in (1, 2))
        measured = torch.tensor(np.concatenate([m for _, m in parts]))
        inputs = self._inputs(features)
        extra = torch.full((len(parts),), 3.0, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([*self._network.parameters(), extra], lr=LEARNING_RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            predicted = self._time(inputs, tile_us, waves) + torch.exp(extra)[of_table]
            (torch.abs(predicted - measured) / (predicted + measured)).mean().backward()
            optimizer.step()

    def predict(self, case: Cases) -> np.ndarray:
        """Times in microseconds, shape (R,)."""
        features, tile_us, waves = _figures(case)
        with torch.no_grad():
            return self._time(self._inputs(features), torch.tensor(tile_us), torch.tensor(waves)).numpy()

    def _inputs(self, features: np.ndarray) -> torch.Tensor:
        return torch.tensor((features - self._mean) / self._spread)

    def _time(self, inputs: torch.Tensor, tile_us: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
        alpha, beta = torch.sigmoid(self._network(inputs)).unbind(dim=1)
        return waves * tile_us / torch.clamp(alpha - beta * alpha / waves, min=1e-3)


def _thinned(case: Cases) -> Cases:
    return case.where(np.arange(len(case)) % max(1, len(case) // ROWS) == 0)
