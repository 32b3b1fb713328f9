"""What a changed network is saved as: a JSON description and a state dict. No pickle. Importing it loads PyTorch."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headroom.errors import ModelError
from headroom.files import write_whole


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the state dict of ``network``.

    Raises:
        UsageError: the file cannot be written.
    """
    write_tensors(path, network.state_dict())


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers and text in dicts and lists: what :func:`read_weights` reads. Whole or absent.

    Raises:
        UsageError: the file cannot be written.
    """
    held = io.BytesIO()
    torch.save(dict(content), held)
    write_whole(path, held.getvalue())


def read_weights(path: Path) -> Mapping[str, Any]:
    """The state dict in ``path``, of which nothing is executed.

    Raises:
        ModelError: it is missing, damaged or something else.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    # A stranger's file can fail in any way that the reader of archives knows.
    except Exception as error:
        reason = f"{error}".partition("\n")[0].partition(". ")[0]
        raise ModelError(f"cannot read {path}: {reason}; save it again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is no state dict; save the network again")
    return found


def read_description(path: Path, what: str) -> Mapping[str, Any]:
    """The JSON object in ``path``, which the sentences call ``what``.

    Raises:
        ModelError: it is missing, damaged or something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} is no {what}")
    return found
