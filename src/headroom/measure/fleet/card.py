"""What a worker of a fleet says of itself."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from headroom._version import __version__
from headroom.store.rows import METHOD, System

#: What the resource of a kind of GPU begins with; a system's id follows. Its amount is how many layers a worker takes
#: at a time.
RESOURCE = "headroom-"


def this_machine() -> str:
    """The same in two processes where they share a machine, and so its files."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()} {boot}".strip()


@dataclass(frozen=True)
class Card:
    """A worker's GPU: its index there, its UUID, and the system that rows measured on it belong to.

    ``seats`` is how many layers it takes at a time: one runs while the others compile. ``missing`` are the libraries
    that it has to do without.
    """

    system: System
    gpu: int
    uuid: str
    seats: int
    missing: tuple[str, ...] = ()
    host: str = field(default_factory=socket.gethostname)
    machine: str = field(default_factory=this_machine)
    pid: int = field(default_factory=os.getpid)
    version: str = __version__
    method: int = METHOD

    @property
    def resource(self) -> str:
        return resource_of(self.system)


def resource_of(system: System) -> str:
    """What workers of this kind have to offer."""
    return RESOURCE + system.id
