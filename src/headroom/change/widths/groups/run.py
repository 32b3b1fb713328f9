"""Run a module on its example inputs, and compare what it returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def call(module: nn.Module, inputs: Any) -> Any:
    """The module's outputs for a tensor, a tuple of arguments or a dict of them, which it may write into: copies."""
    inputs = torch.utils._pytree.tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, inputs)
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple | list) else module(inputs)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Within it the module is in evaluation mode and computes no gradients; afterwards each part is as it was.

    What the module draws at random is not missing from the caller's stream of random numbers.

    PyTorch's fused encoder is off: it is a single operator that shows nothing of what happens inside.
    """
    training = {part: part.training for part in module.modules()}
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for part, was in training.items():
            part.training = was


def outputs(module: nn.Module, inputs: Any) -> list[Tensor]:
    """Every floating-point tensor that the module returns in evaluation mode."""
    with evaluating(module):
        found = tensors(call(module, inputs))
    return [each for each in found if each.is_floating_point()]


def tensors(output: Any) -> list[Tensor]:
    """Every tensor of what a module returns: in tuples, lists and dicts, and in the attributes of any other object."""
    found: list[Tensor] = []
    # Objects may hold each other; a list keeps them alive, so that their ids stay theirs.
    waiting: list[Any] = [output]
    met: list[Any] = []
    while waiting:
        flat, _ = torch.utils._pytree.tree_flatten(waiting.pop())
        found.extend(each for each in flat if isinstance(each, Tensor))
        for each in flat:
            if not isinstance(each, Tensor | nn.Module | type) and not any(each is other for other in met):
                met.append(each)
                waiting.extend(value for value in getattr(each, "__dict__", {}).values())
    return found


def difference(first: list[Tensor], second: list[Tensor]) -> float:
    """The largest difference of two runs' outputs over the first's largest value; infinite where shapes differ."""
    if [each.shape for each in first] != [each.shape for each in second]:
        return float("inf")
    largest = 0.0
    for before, after in zip(first, second, strict=True):
        if before.numel():
            scale = float(before.abs().max()) or 1.0
            apart = float((before - after).abs().max())
            largest = max(largest, apart / scale if apart == apart else float("inf"))
    return largest


def _vocabulary(module: nn.Module) -> int:
    """Token numbers that every table of the module has."""
    return min((each.num_embeddings for each in module.modules() if isinstance(each, nn.Embedding)), default=1)


def telling(inputs: Any, module: nn.Module, generator: torch.Generator) -> Any:
    """The example inputs in float64; constant ones, which tell nothing, are drawn at random."""
    vocabulary = _vocabulary(module)

    def one(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype == torch.bool:
            return value
        constant = value.numel() > 1 and bool((value == value.reshape(-1)[0]).all())
        if value.is_floating_point():
            return torch.randn(value.shape, generator=generator).double() if constant else value.double().cpu()
        if constant and bool((value == 0).all()):
            return torch.randint(0, vocabulary, value.shape, generator=generator).to(value.dtype)
        return value.cpu()

    return torch.utils._pytree.tree_map(one, inputs)
