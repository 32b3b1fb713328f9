"""The one database that all workers of a fleet write to, in words that each of them understands."""

from __future__ import annotations

import os

from headroom.errors import UsageError
from headroom.measure.fleet.card import this_machine
from headroom.measure.fleet.fleet import Fleet
from headroom.store.default import own_place
from headroom.store.place import find_place


def written_by(fleet: Fleet, where: str | os.PathLike[str] | None) -> str:
    """The database at ``where``, by default the user's own, for processes with another current folder.

    Raises:
        UsageError: it is a file, and some workers are on other machines.
    """
    place = own_place() if where is None else find_place(where)
    if place.file is None:
        assert place.url is not None
        return place.url.render_as_string(hide_password=False)
    far = next((card.host for card in fleet.cards().values() if card.machine != this_machine()), None)
    if far is not None:
        raise UsageError(
            f"the fleet has workers on {far}, which do not share the file {place.file}: name a PostgreSQL database "
            "with --db postgresql://USER@HOST/NAME"
        )
    return str(place.file.absolute())
