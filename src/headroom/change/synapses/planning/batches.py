"""What a network is looked at with: the user's batches, or random ones. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headroom.errors import ModelError, UsageError
from headroom.text import plain_line

#: Random batches, where the user gives none, and samples of each.
_RANDOM_BATCHES, _RANDOM_SAMPLES = 8, 16

_WHAT = "each batch is a tensor of inputs, or (inputs, labels) with a whole number per sample"


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs, and their labels where they are known."""

    inputs: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches to choose by, and others to judge by.

    Attributes:
        calibration: what searches and compensations see.
        held_out: what losses are counted on. The same, where there is one batch alone.
        random: whether they are random numbers.
        notes: what has to be said about them.
    """

    calibration: tuple[Batch, ...]
    held_out: tuple[Batch, ...]
    random: bool
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """How many samples losses are counted on."""
        return sum(len(batch.inputs) for batch in self.held_out)


def random_batches(example: Tensor, seed: int = 0) -> Batches:
    """Random numbers in the shape of ``example``; whole numbers cannot be drawn, so that they are taken as they are."""
    note = (
        "No data was given: everything is chosen and judged by random inputs, which say little about real ones. "
        "Give --data."
    )
    if not example.is_floating_point():
        batch = Batch(example)
        return Batches((batch,), (batch,), True, (note,))
    draw = torch.Generator().manual_seed(seed)
    shape = (_RANDOM_SAMPLES, *example.shape[1:])
    made = [Batch(torch.randn(shape, generator=draw, dtype=example.dtype)) for _ in range(_RANDOM_BATCHES)]
    return Batches(tuple(made[::2]), tuple(made[1::2]), True, (note,))


def user_batches(data: Callable[[], Iterable[Any]] | Iterable[Any], samples: int) -> Batches:
    """Up to ``samples`` samples of what ``data`` gives, every other batch to judge by.

    Raises:
        ModelError: the user's code failed, or gave something else than batches.
    """
    found: list[Batch] = []
    try:
        for given in data() if callable(data) else data:
            found.append(_batch(given))
            if sum(len(batch.inputs) for batch in found) >= samples:
                break
    except ModelError:
        raise
    # The user's code runs here, which may fail with anything.
    except (Exception, SystemExit) as error:
        reason = plain_line(f"{type(error).__name__}: {error}")
        raise ModelError(f"the data could not be read: {reason}; {_WHAT}") from error
    if not found:
        raise ModelError(f"the data holds no batch; {_WHAT}")
    if len({batch.labels is None for batch in found}) > 1:
        raise ModelError("some batches have labels and some have none; give all of one kind")
    if len(found) == 1:
        note = "The data is one batch, so that losses are counted on what was calibrated with. Give several."
        return Batches((found[0],), (found[0],), False, (note,))
    return Batches(tuple(found[::2]), tuple(found[1::2]), False)


def _batch(given: Any) -> Batch:
    if isinstance(given, Tensor):
        return Batch(_inputs(given))
    if isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], Tensor):
        inputs, labels = _inputs(given[0]), torch.as_tensor(given[1]).cpu()
        if labels.shape == inputs.shape[:1] and not labels.is_floating_point():
            return Batch(inputs, labels)
        raise ModelError(f"labels of shape {tuple(labels.shape)} do not go with {len(inputs)} samples; {_WHAT}")
    raise ModelError(f"the data gave a {type(given).__name__}; {_WHAT}")


def _inputs(given: Tensor) -> Tensor:
    """A batch's inputs, of which there are some."""
    if not given.dim() or not given.numel():
        raise ModelError(f"the data gave a batch of shape {tuple(given.shape)}, which holds no sample; {_WHAT}")
    if not bool(torch.isfinite(given).all()):
        raise ModelError("the data hold a number that is not finite; clean them")
    return given.cpu()


def one_input(example: Any) -> Tensor:
    """The example input of a network that takes one.

    Raises:
        UsageError: it takes another number, or something else than a tensor.
    """
    if isinstance(example, tuple | list) and len(example) == 1:
        example = example[0]
    if not isinstance(example, Tensor) or not example.dim():
        raise UsageError("slim takes networks of one input tensor; wrap the network in one that makes the others")
    return example.cpu()
