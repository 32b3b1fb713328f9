"""What a run that was stopped goes on from: one file, whole or absent, read without executing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headroom.change.saved import read_weights, write_tensors
from headroom.change.training.recipe import Recipe
from headroom.errors import ModelError, UsageError


def write_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, epochs: int, seconds: float
) -> None:
    """Write the weights, the optimizer's state and how far the run has come.

    Raises:
        UsageError: the file cannot be written; the one of before is still there.
    """
    content = {
        "settings": _settings(recipe),
        "weights": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epochs": epochs,
        "seconds": seconds,
    }
    write_tensors(path, content)


def read_checkpoint(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe
) -> tuple[int, float]:
    """Load what :func:`write_checkpoint` wrote into module and optimizer; return epochs done and seconds spent.

    Raises:
        ModelError: the file is damaged or is of another network.
        UsageError: it was written with other settings.
    """
    found = read_weights(path)
    if not {"settings", "weights", "optimizer", "epochs", "seconds"} <= found.keys():
        raise ModelError(f"{path} is no checkpoint of a training run; remove it or choose another path")
    _check_settings(path, json.loads(found["settings"]), json.loads(_settings(recipe)))
    try:
        module.load_state_dict(found["weights"])
        optimizer.load_state_dict(found["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} is of another network: {' '.join(str(error).split())[:200]}; remove it or choose another path"
        ) from error
    return int(found["epochs"]), float(found["seconds"])


def _settings(recipe: Recipe) -> str:
    """The settings as text; of a schedule of the user's own, only that there is one can be told."""
    settings = asdict(recipe)
    settings["schedule"] = recipe.schedule is not None
    return json.dumps(settings, sort_keys=True)


def _check_settings(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    # Compiling changes nothing in what is computed.
    other = [f"{name} {before.get(name)}, not {value}" for name, value in now.items() if before.get(name) != value]
    other = [each for each in other if not each.startswith("compile ")]
    if other:
        raise UsageError(
            f"{path} was written with {', '.join(other)}; take these settings, remove it or choose another path"
        )
