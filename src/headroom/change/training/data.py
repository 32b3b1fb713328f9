"""What training reads: batches of inputs and labels, from tensors that lie on the device or from a data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from headroom.errors import UsageError

#: Changes a batch of inputs at random; what it draws comes from the generator, which lies on the inputs' device.
Augmentation = Callable[[Tensor, torch.Generator], Tensor]

Batch = tuple[Any, Tensor]


class Batches(Protocol):
    """A data set in batches of ``(inputs, labels)``."""

    def __len__(self) -> int:
        """Batches of an epoch."""
        ...

    def epoch(self, seed: int) -> Iterator[Batch]:
        """One pass; the seed decides order and augmentation, so that a resumed run sees what it would have seen."""
        ...


@dataclass(frozen=True)
class TensorBatches:
    """A data set held as two tensors, on the device that trains. Nothing is copied but the batch.

    Attributes:
        inputs: (samples, ...); integers are divided by 255 and standardised by ``mean`` and ``spread``.
        labels: (samples,).
        batch: samples per step. In training the last, smaller batch of an epoch is left out.
        augment: applied to each batch as it is stored.
        shuffled: whether order is drawn; without it every sample comes, in its order.
        mean, spread: per channel.
    """

    inputs: Tensor
    labels: Tensor
    batch: int
    augment: Augmentation | None = None
    shuffled: bool = True
    mean: tuple[float, ...] = (0.0,)
    spread: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise UsageError(f"{len(self.inputs)} inputs and {len(self.labels)} labels: give one label for each input")
        if not 1 <= self.batch <= len(self.inputs):
            raise UsageError(f"batches of {self.batch} out of {len(self.inputs)} samples: choose a smaller batch")

    def __len__(self) -> int:
        return len(self.inputs) // self.batch if self.shuffled else -(-len(self.inputs) // self.batch)

    def epoch(self, seed: int) -> Iterator[Batch]:
        device = self.inputs.device
        generator = torch.Generator(device).manual_seed(seed)
        order = None
        if self.shuffled:
            order = torch.randperm(len(self.inputs), generator=generator, device=device)
        for step in range(len(self)):
            part = slice(step * self.batch, (step + 1) * self.batch)
            taken = part if order is None else order[part]
            inputs = self.inputs[taken]
            if self.augment is not None:
                inputs = self.augment(inputs, generator)
            yield self._standardised(inputs), self.labels[taken]

    def _standardised(self, inputs: Tensor) -> Tensor:
        if inputs.is_floating_point():
            return inputs
        mean, spread = (per_channel(each, inputs, torch.float32) for each in (self.mean, self.spread))
        return (inputs.float() / 255 - mean) / spread


def per_channel(values: Sequence[float], like: Tensor, dtype: torch.dtype) -> Tensor:
    """Values in the shape that broadcasts along the channels of ``like``.

    They are filled in on the device: copying them there would make the host wait for the GPU at every step.
    """
    filled = [torch.full((), value, device=like.device, dtype=dtype) for value in values]
    return torch.stack(filled).view(1, -1, *[1] * (like.ndim - 2))


@dataclass(frozen=True)
class LoaderBatches:
    """A ``torch.utils.data.DataLoader``, or anything with a length that yields ``(inputs, labels)``.

    A loader's order comes from PyTorch's global generator, which training seeds before each epoch and puts back after.
    """

    loader: Iterable[Any]
    device: torch.device | str = "cpu"

    def __len__(self) -> int:
        try:
            return len(self.loader)  # type: ignore[arg-type]
        except TypeError as error:
            raise UsageError(
                f"a {type(self.loader).__name__} has no length, so that the learning rate knows no end; give a "
                "data loader over a data set with a length"
            ) from error

    def epoch(self, seed: int) -> Iterator[Batch]:
        for found in self.loader:
            if not isinstance(found, tuple | list) or len(found) != 2:
                raise UsageError(f"the data loader yields a {type(found).__name__}; it must yield (inputs, labels)")
            inputs, labels = found
            yield torch.utils._pytree.tree_map(self._moved, inputs), self._moved(labels)

    def _moved(self, value: Any) -> Any:
        return value.to(self.device, non_blocking=True) if isinstance(value, Tensor) else value


def as_batches(data: Any, device: torch.device | str) -> Batches:
    """``data`` itself where it is batches already, else a loader's."""
    return data if hasattr(data, "epoch") else LoaderBatches(data, device)
