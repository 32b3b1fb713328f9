"""Reads an execution profile, whichever profiler wrote it; the content tells which, not the file's name."""

from __future__ import annotations

import os
from pathlib import Path

from headroom.errors import ProfileError
from headroom.measure.profiles.kineto import is_kineto, read_kineto
from headroom.measure.profiles.logged import with_logs
from headroom.measure.profiles.onnxruntime import is_onnxruntime, read_onnxruntime
from headroom.measure.profiles.profile import Profile
from headroom.measure.profiles.profile_file import parse_json, read_bytes

#: What the database inside an Nsight Systems export, and inside its own report, begins with.
_SQLITE = b"SQLite format 3\x00"

_READABLE = "a trace of PyTorch's profiler or a profile of ONNX Runtime (.json or .json.gz)"


def read_profile(path: str | os.PathLike[str]) -> Profile:
    """The profile at ``path``, with what the libraries' logs beside it tell (:func:`.logged.folder_of`).

    Raises:
        ProfileError: it cannot be read, is damaged, or is of no kind that Headroom reads.
    """
    place = Path(path)
    return with_logs(_read(place), place)


def _read(place: Path) -> Profile:
    content = read_bytes(place)
    if content.startswith(_SQLITE):
        raise ProfileError(f"{place} is a database, perhaps of Nsight Systems; Headroom reads {_READABLE}")
    if not content.strip():
        raise ProfileError(f"{place} is empty; give {_READABLE}")
    value = parse_json(place, content)
    if is_kineto(value):
        return read_kineto(place, value)
    if is_onnxruntime(value):
        return read_onnxruntime(place, value)
    raise ProfileError(f"{place} is JSON, but no profile that Headroom knows; give {_READABLE}")
