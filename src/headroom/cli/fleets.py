"""The fleet that ``--fleet`` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headroom.measure.fleet.dask import distributed, hush
from headroom.measure.fleet.fleet import Fleet
from headroom.measure.fleet.local import local_fleet

LOCAL = "local"


@contextmanager
def connected(fleet: str, tls: Path | None) -> Iterator[Fleet]:
    """The fleet at an address, or one of all GPUs of this machine that ends with the block.

    Raises:
        GpuError: nobody answers there, or there is no GPU.
        UsageError: dask is not installed, or this is no address.
    """
    distributed()
    hush()
    if fleet != LOCAL:
        with Fleet(fleet, tls=tls) as there:
            yield there
        return
    with local_fleet() as address, Fleet(address) as there:
        yield there
