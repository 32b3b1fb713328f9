"""The libraries' logs that lie beside a trace: where ``headroom profile --logs`` puts them, and their calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headroom.errors import ProfileError
from headroom.measure.profiles.library_logs import LibraryCall, read_library_log
from headroom.measure.profiles.profile import Profile

#: The logs whose lines are calls. cuDNN's frontend writes one as well, of what it asks cuDNN for.
LOGS = ("cudnn.log", "cublas.log", "cublaslt.log")


def folder_of(trace: Path) -> Path:
    """Where the logs of the run in ``trace`` are kept: ``NAME.logs`` beside ``NAME.json.gz``."""
    return trace.with_name(f"{trace.name.removesuffix('.gz').removesuffix('.json')}.logs")


def with_logs(profile: Profile, trace: Path) -> Profile:
    """``profile`` with the calls in the logs beside it, if there are any; a log that cannot be read becomes a note."""
    calls: list[LibraryCall] = []
    notes: list[str] = []
    for path in (folder_of(trace) / name for name in LOGS):
        if not path.is_file():
            continue
        try:
            calls += read_library_log(path)
        except ProfileError as error:
            notes.append(str(error))
    return replace(profile, library_calls=tuple(calls), notes=(*profile.notes, *notes)) if calls or notes else profile
