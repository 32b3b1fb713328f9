"""A slim network as files: a JSON description and a state dict beside it. No pickle. Importing it loads PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headroom.change.saved import read_description, read_weights, write_weights
from headroom.change.synapses.plan import LayerPlan, SynapsePlan
from headroom.change.synapses.slim import empty_slim, layer_of, put
from headroom.change.widths.groups.specification import apply_specification
from headroom.errors import ModelError, UsageError
from headroom.files import write_whole

FORMAT = "headroom-synapses"
VERSION = 1


@dataclass(frozen=True)
class Smaller:
    """Layers that became ordinary smaller ones, because what made their removed inputs went as well.

    Attributes:
        layers: their names.
        widths: the change of widths, as :func:`headroom.change.widths.groups.specification` tells it.
    """

    layers: tuple[str, ...] = ()
    widths: Mapping[str, Any] = field(default_factory=dict)


def save_slim(folder: Path, network: nn.Module, plan: SynapsePlan, smaller: Smaller = Smaller()) -> tuple[Path, Path]:
    """Write ``synapses.json`` and ``weights.pt`` into ``folder``; return their paths.

    Args:
        network: what :func:`headroom.change.synapses.slim.slim` made.
        plan: of its layers.
        smaller: which of them select nothing, for they are ordinary smaller layers.

    Raises:
        UsageError: the folder cannot be written.
    """
    described, weights = folder / "synapses.json", folder / "weights.pt"
    bias = [name for name in plan.layers if _bias(network.get_submodule(name))]
    content = {"format": FORMAT, "version": VERSION, "layers": plan.to_dict(), "bias": bias}
    if smaller.layers:
        content |= {"smaller": list(smaller.layers), "widths": dict(smaller.widths)}
    write_weights(weights, network)
    write_whole(described, json.dumps(content, indent=2) + "\n")
    return described, weights


def load_slim(network: nn.Module, folder: Path) -> nn.Module:
    """Make ``network``, freshly built by the user's own code, the slim one saved in ``folder``; return it.

    Nothing in the files is executed: the description is JSON, the weights are read as tensors alone.

    Raises:
        ModelError: a file is missing or damaged, or does not fit the network.
    """
    described = _described(folder / "synapses.json")
    plan = SynapsePlan.from_dict(described["layers"])
    weights = read_weights(folder / "weights.pt")
    gathering = {name: each for name, each in plan.layers.items() if name not in described.get("smaller", [])}
    try:
        for name in described["bias"]:
            dense = layer_of(network, name)
            if dense.bias is None:
                dense.bias = nn.Parameter(dense.weight.new_zeros(len(dense.weight)))
        if "widths" in described:
            _resize(network, described["widths"], weights, gathering)
        for name, layer_plan in gathering.items():
            _check_table(name, weights.get(f"{name}.retained"), layer_plan.count)
            put(network, name, empty_slim(layer_of(network, name), layer_plan))
        network.load_state_dict(weights)
    except (RuntimeError, UsageError) as error:
        raise ModelError(f"what {folder} holds does not fit the network: {' '.join(str(error).split())}") from error
    return network


def _resize(network: nn.Module, widths: Any, weights: Mapping[str, Any], gathering: Mapping[str, LayerPlan]) -> None:
    """Give the network the widths that it had before layers of it began to select their inputs."""
    if not isinstance(widths, dict) or not isinstance(widths.get("tensors"), dict):
        raise ModelError("its description has no widths to make it smaller by; save the network again")
    # The file has no dense weights of layers that select; their sizes are checked when the state dict is loaded.
    unseen = {
        name: torch.empty(shape, device="meta")
        for name, shape in widths["tensors"].items()
        if name.rpartition(".")[0] in gathering and _is_shape(shape)
    }
    apply_specification(network, widths, {**weights, **unseen})


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(size) is int and 0 < size < 2**31 for size in shape)


def _bias(layer: nn.Module) -> bool:
    holder: Any = getattr(layer, "conv", layer)
    return holder.bias is not None


def _check_table(name: str, table: Any, count: int) -> None:
    """A table that points outside the inputs would read foreign memory on a GPU."""
    if not isinstance(table, torch.Tensor) or table.dtype != torch.int64 or table.dim() != 1:
        raise ModelError(f"{name} has no table of retained synapse vectors; save the network again")
    if len(table) and (int(table.min()) < 0 or int(table.max()) >= count):
        raise ModelError(f"{name}'s table of retained synapse vectors leaves its {count}; save the network again")


def _described(path: Path) -> Mapping[str, Any]:
    found = read_description(path, "description of synapse vectors")
    if found.get("format") != FORMAT or found.get("version") != VERSION:
        raise ModelError(f"{path} is no description of synapse vectors of version {VERSION}; save the network again")
    if (
        not isinstance(found.get("layers"), dict)
        or not _is_names(found.get("bias"))
        or not _is_names(found.get("smaller", []))
    ):
        raise ModelError(f"{path} lacks its layers or the names of those with a bias; save the network again")
    return found


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
