"""When something was measured, so that two databases agree on which row is newer."""

from __future__ import annotations

from datetime import UTC, datetime

_NEVER = datetime.min.replace(tzinfo=UTC)


def moment(text: str) -> datetime:
    """The moment that ISO 8601 ``text`` names, UTC where it names no zone; before all others where it names none.

    >>> moment("2026-11-21T12:00:00Z") == moment("2026-11-21T13:00:00+01:00")
    True
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _NEVER
    return found if found.tzinfo else found.replace(tzinfo=UTC)
