"""The training loop: epochs of SGD that stop at a limit of time, survive a kill, and repeat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headroom.change.training.checkpoint import read_checkpoint, write_checkpoint
from headroom.change.training.data import Batches, as_batches
from headroom.change.training.evaluate import device_of, outputs_of
from headroom.change.training.recipe import Recipe
from headroom.errors import UsageError

#: What the network's outputs and the labels cost, a scalar.
Loss = Callable[[Any, Tensor], Tensor]

#: Seconds between two checkpoints: a large network's takes some tenths of a second.
_BETWEEN_CHECKPOINTS_S = 20.0


@dataclass(frozen=True)
class Progress:
    """How far a run has come. ``seconds`` are those of all its parts; ``loss`` is the last epoch's mean."""

    epochs: int
    of: int
    seconds: float
    loss: float

    @property
    def finished(self) -> bool:
        return self.epochs >= self.of


def train(
    module: nn.Module,
    data: Any,
    recipe: Recipe,
    *,
    loss: Loss | None = None,
    checkpoint: Path | None = None,
    limit_s: float | None = None,
    after_step: Callable[[], None] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train ``module`` in place, on the device that its parameters are on.

    With ``checkpoint`` a run that was killed goes on from the last one written and ends with the weights that it would
    have had; the file stays until the caller removes it. PyTorch's global random numbers are afterwards as before.

    Args:
        data: batches (:class:`.TensorBatches`) or a data loader of ``(inputs, labels)``.
        loss: cross entropy with the recipe's label smoothing where none is given.
        checkpoint: a file; where it exists, the run resumes.
        limit_s: stop after the epoch in which as many seconds have passed, and say so in the result.
        after_step: called after every step, as for masks that keep pruned weights at zero.
        on_epoch: called after every epoch.

    Raises:
        UsageError: no batch, or a checkpoint of other settings.
        ModelError: a damaged checkpoint, or one of another network.
    """
    begin = time.monotonic()
    batches = as_batches(data, device_of(module))
    if not len(batches):
        raise UsageError("an epoch has no batch; give more data or smaller batches")
    run = _Run(module, batches, recipe, loss or _cross_entropy(recipe), after_step)
    done, before_s, mean_loss = 0, 0.0, float("nan")
    if checkpoint is not None and checkpoint.exists():
        done, before_s = read_checkpoint(checkpoint, module, run.optimizer, recipe)
    written = begin
    while done < recipe.epochs:
        mean_loss = run.epoch(done)
        done += 1
        now = time.monotonic()
        progress = Progress(done, recipe.epochs, before_s + now - begin, mean_loss)
        if on_epoch is not None:
            on_epoch(progress)
        stop = progress.finished or (limit_s is not None and now - begin >= limit_s)
        if checkpoint is not None and (stop or now - written >= _BETWEEN_CHECKPOINTS_S):
            write_checkpoint(checkpoint, module, run.optimizer, recipe, done, progress.seconds)
            written = now
        if stop:
            break
    return Progress(done, recipe.epochs, before_s + time.monotonic() - begin, mean_loss)


def sgd(module: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """The recipe's optimizer: what has one axis or none (biases, scales and offsets) does not decay."""
    trained = [each for each in module.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in trained if each.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [each for each in trained if each.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        fused=device_of(module).type == "cuda" or None,
    )


class _Run:
    """One run's state: the optimizer, the network as it is called, and how its arithmetic is cast."""

    def __init__(
        self, module: nn.Module, batches: Batches, recipe: Recipe, loss: Loss, after_step: Callable[[], None] | None
    ) -> None:
        self._module, self._batches, self._recipe = module, batches, recipe
        self._loss, self._after_step = loss, after_step
        self._device = device_of(module)
        self._network: Any = torch.compile(module) if recipe.compile else module
        self._bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and self._device.type == "cuda")
        self.optimizer = sgd(module, recipe)

    def epoch(self, number: int) -> float:
        """Train for one epoch; return its mean loss."""
        seed = self._recipe.seed * 1_000_003 + number
        devices = [self._device] if self._device.type == "cuda" else []
        self._module.train()
        total = torch.zeros((), device=self._device)
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            for step, (inputs, labels) in enumerate(self._batches.epoch(seed)):
                share = (number + step / len(self._batches)) / self._recipe.epochs
                total += self._step(inputs, labels, self._recipe.rate_at(share))
        return float(total) / len(self._batches)

    def _step(self, inputs: Any, labels: Tensor, rate: float) -> Tensor:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            cost = self._loss(outputs_of(self._network, inputs), labels)
        self.optimizer.zero_grad(set_to_none=True)
        cost.backward()
        self.optimizer.step()
        if self._after_step is not None:
            self._after_step()
        return cost.detach()


def _cross_entropy(recipe: Recipe) -> Loss:
    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(outputs.float(), labels, label_smoothing=recipe.label_smoothing)

    return loss
