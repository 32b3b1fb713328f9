"""A frontier as files: the study as JSON, and beside it the weights of every way. Importing it loads PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from headroom.change.saved import read_weights, write_tensors
from headroom.change.synapses.planning.kept import Kept
from headroom.errors import ModelError

#: Between a layer's name, its way's place and what of it a tensor is. No module's name holds it.
_SEPARATOR = "|"


def weights_beside(path: Path) -> Path:
    """Where the weights of the frontier in ``path`` are."""
    return path.with_suffix(path.suffix + ".pt")


def write_kept(path: Path, kept: Mapping[tuple[str, int], Kept]) -> None:
    """Write the weights of every way beside the frontier in ``path``.

    Raises:
        UsageError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for (name, way), each in kept.items():
        start = f"{name}{_SEPARATOR}{way}{_SEPARATOR}"
        tensors |= {f"{start}retained": each.retained, f"{start}weight": each.weight}
        if each.bias is not None:
            tensors[f"{start}bias"] = each.bias
    write_tensors(weights_beside(path), tensors)


def read_kept(path: Path, wanted: Mapping[str, int]) -> dict[str, Kept]:
    """The weights of one way per layer, by the layer's name.

    Raises:
        ModelError: the file is missing, damaged, or has no such way.
    """
    target = weights_beside(path)
    tensors = read_weights(target)
    found = {}
    for name, way in wanted.items():
        start = f"{name}{_SEPARATOR}{way}{_SEPARATOR}"
        table, weight = tensors.get(f"{start}retained"), tensors.get(f"{start}weight")
        bias = tensors.get(f"{start}bias")
        if not isinstance(table, Tensor) or not isinstance(weight, Tensor) or weight.dim() != 3 or table.dim() != 1:
            raise ModelError(f"{target} has no weights of {name} at that point; make the frontier again")
        if table.dtype != torch.int64 or not (bias is None or isinstance(bias, Tensor)):
            raise ModelError(f"{target} is damaged at {name}; make the frontier again")
        found[name] = Kept(table, weight, bias)
    return found
