"""Whether somebody else uses the GPU: what is measured then is their work too."""

from __future__ import annotations

import time
from collections.abc import Callable

from headroom.errors import GpuError
from headroom.measure.driver import Driver

#: More of the GPU's time than this in use, in percent, and it is busy.
MOST_UTILIZATION_PCT = 5

#: How long a GPU may take to come to rest: what ran a moment ago still shows.
SETTLING_S = 1.5
_PAUSE_S = 0.1


class Guard:
    """Watches over one GPU before and while it is measured. ``shared`` lets others stay, and says so in the rows."""

    def __init__(self, driver: Driver, *, shared: bool = False, sleep: Callable[[float], None] = time.sleep) -> None:
        self._driver, self._shared, self._sleep = driver, shared, sleep
        self._before = ""

    def admit(self) -> None:
        """Check that the GPU is ours alone, before anything of ours runs on it.

        Raises:
            GpuError: it is not; the sentence names who uses it.
        """
        self._before = self._users(own=0)
        if self._before and not self._shared:
            raise GpuError(
                f"GPU {self._driver.gpu} ({self._driver.name}) is busy: {self._before}; wait until it is free, or "
                "measure anyway with --shared, which marks the rows"
            )

    def others(self, *, own: int = 1) -> str:
        """Who else uses the GPU while ``own`` processes of ours may, in a few words; empty where nobody does.

        Raises:
            GpuError: somebody has come who may not be there.
        """
        users = self._users(own=own)
        if users and not self._shared:
            raise GpuError(
                f"GPU {self._driver.gpu} ({self._driver.name}) is no longer ours alone: {users}; layers that were "
                "done before are kept, run again when it is free, or with --shared"
            )
        return users or self._before

    def _users(self, own: int) -> str:
        """Who is there, given time to leave where they may not stay."""
        found = _users(self._driver, own)
        if self._shared:
            return found
        for _ in range(round(SETTLING_S / _PAUSE_S)):
            if not found:
                break
            self._sleep(_PAUSE_S)
            found = _users(self._driver, own)
        return found


def _users(driver: Driver, own: int) -> str:
    """Who uses the GPU besides ``own`` processes of ours.

    Ours are counted, not looked for by number: inside a container the driver may number processes as the host does.
    While there are any, utilisation is ours.
    """
    neighbours = driver.neighbours()
    if len(neighbours) > own:
        named = ", ".join(f"{neighbour.pid} ({neighbour.name})" for neighbour in neighbours[:4])
        more = f" and {len(neighbours) - 4} more" if len(neighbours) > 4 else ""
        if own:
            return f"{len(neighbours) - own} besides the worker among processes {named}{more}"
        return f"process {named}{more} computes on it"
    if not own and (used := driver.utilization_pct) > MOST_UTILIZATION_PCT:
        return f"it is in use {used} % of the time"
    return ""
