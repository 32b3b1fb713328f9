"""The one line on stderr."""

from __future__ import annotations

import sys


def complain(sentence: str) -> None:
    """Print ``headroom: sentence`` as one line, or nothing where stderr is closed (``print`` would take stdout)."""
    if sys.stderr is not None:
        print("headroom: " + " ".join(sentence.split()), file=sys.stderr)  # noqa: T201
