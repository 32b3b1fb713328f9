"""Which GPU a user means: ids, unique prefixes and the driver's names, and what to say when it is unclear."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence

from headroom.errors import UsageError
from headroom.text import plain_line

#: GPUs without a sheet whose names begin the id of one that has: as a prefix they would mean the wrong GPU.
_OTHER_GPUS = frozenset({"gtx-1080", "h20", "l40", "m4", "m6", "p6"})


def is_path(name: str) -> bool:
    """Whether a user's text names a file rather than a GPU."""
    separators = {os.sep, os.altsep or os.sep, "/"}
    return name.endswith(".toml") or any(separator in name for separator in separators)


def normalise(name: str) -> str:
    """A name without case, vendor and choice of separator: ``NVIDIA A100-SXM4-80GB`` to ``a100-sxm4-80gb``."""
    words = name.casefold().replace("_", "-").replace("-", " ").split()
    return "-".join(words[1:] if words[:1] == ["nvidia"] else words)


def resolve(name: str, ids: Sequence[str], spoken_names: Callable[[], Mapping[str, str]]) -> str:
    """The id that ``name`` means.

    Args:
        ids: the known ids.
        spoken_names: gives the other names (normalised) to ids; called only when an id does not settle it, because
            it has to read every sheet.

    Raises:
        UsageError: nothing fits (the nearest names are listed) or several ids do (they are listed).
    """
    wanted = normalise(name)
    if wanted in ids:
        return wanted
    is_prefix = bool(wanted) and wanted not in _OTHER_GPUS
    fitting = [sheet_id for sheet_id in ids if is_prefix and sheet_id.startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    spoken = spoken_names()
    if wanted in spoken:
        return spoken[wanted]
    shown = plain_line(name, 60)
    if fitting:
        raise UsageError(f"gpu '{shown}' is ambiguous: {', '.join(fitting)}; name one of these")
    raise UsageError(f"no gpu '{shown}': {_nearest(wanted, ids, spoken)}, or pass a sheet file ending in .toml")


def _nearest(wanted: str, ids: Sequence[str], spoken: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(wanted[:60], [*ids, *spoken], n=6, cutoff=0.5)
    choices = list(dict.fromkeys(spoken.get(match, match) for match in close))[:3]
    return f"nearest are {', '.join(choices)}" if choices else f"known are {', '.join(ids)}"
