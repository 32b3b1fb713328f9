"""How often a network's largest output is the right one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from headroom.change.training.data import as_batches
from headroom.errors import UsageError


def accuracy_pct(module: nn.Module, data: Any, *, precision: torch.dtype | None = None) -> float:
    """Share of right answers in evaluation mode, in percent; every part of the module is then in the mode it was in.

    Args:
        data: batches that are not shuffled, or a data loader.
        precision: a type to autocast to; ``None`` computes as the weights are stored.

    Raises:
        UsageError: there is no sample.
    """
    device = device_of(module)
    modes = {part: part.training for part in module.modules()}
    module.eval()
    right, count = torch.zeros((), dtype=torch.int64, device=device), 0
    try:
        with torch.no_grad(), torch.autocast(device.type, precision, enabled=precision is not None):
            for inputs, labels in as_batches(data, device).epoch(0):
                right += (outputs_of(module, inputs).argmax(1) == labels).sum()
                count += len(labels)
    finally:
        for part, was in modes.items():
            part.training = was
    if not count:
        raise UsageError("there is no sample to judge the network by; give a data set that is not empty")
    return 100.0 * int(right) / count


def outputs_of(module: nn.Module, inputs: Any) -> Any:
    """The module called with a tensor, a tuple of arguments or a dict of them."""
    if isinstance(inputs, dict):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple | list) else module(inputs)


def device_of(module: nn.Module) -> torch.device:
    """Where the module's first parameter lies; the CPU where it has none."""
    return next((each.device for each in module.parameters()), torch.device("cpu"))
