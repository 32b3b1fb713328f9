"""A change of widths as files: a JSON specification of sizes and attributes, and a state dict beside it. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headroom.change.saved import read_description, read_weights, write_weights
from headroom.change.widths.groups.elastic import ADAPTING, Resizer
from headroom.change.widths.groups.stored import Axis, stored
from headroom.errors import ModelError, UsageError
from headroom.files import write_whole

FORMAT = "headroom-widths"
VERSION = 1

#: Attributes of PyTorch's layers that say how wide they are.
_ATTRIBUTES = (
    *("in_channels", "out_channels", "groups", "in_features", "out_features", "num_features"),
    *("num_parameters", "embedding_dim"),
)


def specification(original: nn.Module, changed: nn.Module, widths: Mapping[str, int]) -> dict[str, Any]:
    """What makes ``changed`` of ``original``: sizes of tensors and values of attributes, where they differ.

    ``widths`` are those of the groups by name, for the reader; loading does not need them.
    """
    before = {name: tuple(held.tensor.shape) for name, held in stored(original).items()}
    after = {name: tuple(held.tensor.shape) for name, held in stored(changed).items()}
    if before.keys() != after.keys():
        raise UsageError("the two modules have different parameters; give a module and a copy with other widths")
    attributes = {}
    for (name, first), (_, second) in zip(original.named_modules(), changed.named_modules(), strict=True):
        other = {key: value for key, value in _integers(second).items() if _integers(first).get(key) != value}
        if other:
            attributes[name] = other
    return {
        "format": FORMAT,
        "version": VERSION,
        "groups": dict(widths),
        "tensors": {name: list(shape) for name, shape in after.items() if shape != before[name]},
        "attributes": attributes,
    }


def _integers(module: nn.Module) -> dict[str, int]:
    """The integers of a module: of PyTorch's layers only those that say widths, of others all that are public."""
    every = {key: value for key, value in vars(module).items() if type(value) is int and not key.startswith("_")}
    if isinstance(module, ADAPTING):
        return {key: every[key] for key in _ATTRIBUTES if key in every}
    return every


def save_widths(folder: Path, original: nn.Module, changed: nn.Module, widths: Mapping[str, int]) -> tuple[Path, Path]:
    """Write ``widths.json`` and ``weights.pt`` into ``folder``; return their paths.

    Raises:
        UsageError: the folder cannot be written.
    """
    specified, weights = folder / "widths.json", folder / "weights.pt"
    write_whole(specified, json.dumps(specification(original, changed, widths), indent=2) + "\n")
    write_weights(weights, changed)
    return specified, weights


def load_widths(module: nn.Module, folder: Path) -> nn.Module:
    """Give ``module``, freshly made by the user's own code, the widths and weights saved in ``folder``; return it.

    Nothing in the files is executed: the specification is JSON, the weights are read as tensors alone.

    Raises:
        ModelError: a file is missing or damaged, or does not fit the module.
    """
    specified = read_description(folder / "widths.json", "width specification")
    weights = read_weights(folder / "weights.pt")
    apply_specification(module, specified, weights)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"the weights in {folder} do not fit: {' '.join(str(error).split())}") from error
    return module


def apply_specification(module: nn.Module, specified: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Resize the module's tensors and set its attributes; their values are still to be loaded.

    Raises:
        ModelError: the specification names what the module has not, or sizes that the weights do not have.
    """
    if specified.get("format") != FORMAT or specified.get("version") != VERSION:
        raise ModelError(f"this is no width specification of version {VERSION}; save it again with this release")
    resizer = Resizer(module)
    held = stored(module)
    for name, shape in _entries(specified, "tensors").items():
        known = held[name].tensor.ndim if name in held else None
        if not isinstance(shape, list) or len(shape) != known or _shape(weights.get(name)) != shape:
            raise ModelError(f"the width specification does not fit: {name} cannot be {shape}")
        for axis, size in enumerate(shape):
            resizer.resize(Axis(name, axis), size)
    for name, values in _entries(specified, "attributes").items():
        _set(module, name, values)


def _shape(tensor: Any) -> list[int] | None:
    return list(tensor.shape) if isinstance(tensor, torch.Tensor) else None


def _set(module: nn.Module, name: str, values: Mapping[str, Any]) -> None:
    try:
        owner = module.get_submodule(name)
    except AttributeError as error:
        raise ModelError(f"the width specification names the module {name!r}, which this network has not") from error
    for attribute, value in values.items():
        if attribute not in _integers(owner) or type(value) is not int:
            raise ModelError(f"the width specification sets {name}.{attribute}, which is no width of this network")
        setattr(owner, attribute, value)


def _entries(specified: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = specified.get(key)
    if not isinstance(found, dict):
        raise ModelError(f"the width specification has no {key}; save it again")
    return found
