"""A frontier as files: the study as JSON, and beside it the weights of every way. Importing it loads PyTorch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from headroom.change.saved import read_weights, write_tensors
from headroom.change.synapses.planning.kept import Kept
from headroom.errors import ModelError

#: Between a layer's name, its way's place and what of it a tensor is. No module's name holds it.
_SEPARATOR = "|"
#: Where the file says which network it is of.
_NETWORK = f"{_SEPARATOR}network"


def weights_beside(path: Path) -> Path:
    """Where the weights of the frontier in ``path`` are."""
    return path.with_suffix(path.suffix + ".pt")


def fingerprint(network: nn.Module) -> Tensor:
    """The SHA-256 of a network's tensors, with their names, types and shapes, as (32,) bytes."""
    found = hashlib.sha256()
    for name, value in network.state_dict().items():
        if isinstance(value, Tensor):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return torch.tensor(list(found.digest()), dtype=torch.uint8)


def write_kept(path: Path, kept: Mapping[tuple[str, int], Kept], network: nn.Module) -> None:
    """Write the weights of every way of ``network`` beside the frontier in ``path``.

    Raises:
        UsageError: the file cannot be written.
    """
    tensors = {_NETWORK: fingerprint(network)}
    for (name, way), each in kept.items():
        start = f"{name}{_SEPARATOR}{way}{_SEPARATOR}"
        tensors |= {f"{start}retained": each.retained, f"{start}weight": each.weight}
        if each.bias is not None:
            tensors[f"{start}bias"] = each.bias
    write_tensors(weights_beside(path), tensors)


def read_kept(path: Path, wanted: Mapping[str, int], network: nn.Module) -> dict[str, Kept]:
    """The weights of one way per layer, by the layer's name.

    Raises:
        ModelError: the file is missing, damaged, of another network than this one, or has no such way.
    """
    target = weights_beside(path)
    tensors = read_weights(target)
    of_whom = tensors.get(_NETWORK)
    if not isinstance(of_whom, Tensor) or not torch.equal(of_whom, fingerprint(network)):
        raise ModelError(
            f"the weights in {target} are not of this network: another one was planned, or it was trained since; give "
            "the one that was planned, or make the frontier again"
        )
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
