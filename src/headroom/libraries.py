"""Where this process finds its libraries, for the child processes that are started without its environment."""

from __future__ import annotations

import sys
from pathlib import Path

import headroom


def library_folders() -> list[str]:
    """The folders that this process would import from, the current one aside, and the one that holds Headroom."""
    here = str(Path.cwd())
    folders = [folder for folder in sys.path if Path(folder).is_absolute() and folder != here]
    return list(dict.fromkeys([*folders, str(Path(headroom.__file__).parents[1])]))
