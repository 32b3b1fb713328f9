"""A packed network as files: a JSON description and a state dict beside it. No pickle. Importing it loads PyTorch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from headroom.change.fission.packable import obstacle, packable, places_of, put
from headroom.change.fission.packed_rows import PackedRows
from headroom.change.fission.slim_layers import PackedSlimLinear, packed_twin
from headroom.change.saved import read_description, read_weights, write_weights
from headroom.errors import ModelError, UsageError
from headroom.files import write_whole

FORMAT = "headroom-packing"
VERSION = 2


def save_packed(folder: Path, network: nn.Module) -> tuple[Path, Path]:
    """Write ``packing.json`` and ``weights.pt`` of a network with packed layers into ``folder``; return their paths.

    Raises:
        UsageError: the folder cannot be written.
    """
    described, weights = folder / "packing.json", folder / "weights.pt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error}; choose another folder") from error
    layers = {
        name: {"form": layer.form.name, "activation": layer.activation}
        for name, layer in network.named_modules()
        if isinstance(layer, PackedRows)
    }
    write_weights(weights, network)
    write_whole(described, json.dumps({"format": FORMAT, "version": VERSION, "layers": layers}, indent=2) + "\n")
    return described, weights


def load_packed(network: nn.Module, folder: str | os.PathLike[str]) -> nn.Module:
    """Make ``network``, freshly built by the user's own code, the packed one saved in ``folder``; return it.

    Nothing in the files is executed: the description is JSON, the weights are read as tensors alone.

    Raises:
        ModelError: a file is missing or damaged, or does not fit the network.
    """
    layers = _described(Path(folder) / "packing.json")
    weights = read_weights(Path(folder) / "weights.pt")
    try:
        places = places_of(network, packable(network))
        for name, layer in layers.items():
            if not _stands(network, name, layer):
                network = put(network, places.get(name, ()), _empty(network, name, layer))
        network.load_state_dict(weights)
    except (RuntimeError, AttributeError, UsageError) as error:
        raise ModelError(f"what {folder} holds does not fit the network: {' '.join(str(error).split())}") from error
    for name, layer in network.named_modules():
        # A table that points outside the inputs would read foreign memory on a GPU.
        if isinstance(layer, PackedSlimLinear) and not layer.reads_its_inputs:
            raise ModelError(f"{name}'s table of retained inputs leaves its {layer.given}; save the network again")
    return network


def _stands(network: nn.Module, name: str, layer: Mapping[str, Any]) -> bool:
    """Whether the user's own code makes the packed layer."""
    found = network.get_submodule(name)
    known = isinstance(found, PackedRows) and found.form.name == layer.get("form")
    return known and found.activation == layer.get("activation")


def _empty(network: nn.Module, name: str, layer: Mapping[str, Any]) -> nn.Module:
    dense = network.get_submodule(name)
    reason = obstacle(dense)
    if reason is not None:
        raise UsageError(f"{name or 'the network'} cannot be packed, as {reason}")
    return packed_twin(dense, str(layer.get("form")), layer.get("activation"))


def _described(path: Path) -> Mapping[str, Mapping[str, Any]]:
    found = read_description(path, "description of a packed network")
    if found.get("format") != FORMAT or found.get("version") != VERSION:
        raise ModelError(f"{path} is no description of a packed network of version {VERSION}; save it again")
    layers = found.get("layers")
    if not isinstance(layers, dict) or not all(isinstance(each, dict) for each in layers.values()):
        raise ModelError(f"{path} lacks its layers; save the network again")
    return layers
