"""How dask is set up for a fleet, and the one place where it is imported.

Dask executes what it is sent: whoever reaches a scheduler or a worker runs code as its user. So everything listens on
the loopback interface unless there is TLS, or the user insists.
"""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from headroom.errors import GpuError, UsageError
from headroom.text import plain_line

#: What differs from dask's own defaults. A user's own settings (a file, the environment) still come first.
SETTINGS: dict[str, Any] = {
    "distributed": {
        "scheduler": {
            # A layer that took two workers along would otherwise visit four.
            "allowed-failures": 1,
            # Layers last seconds, and a worker's event loop never computes: one that is silent for so long is gone.
            "worker-ttl": "60s",
            "http": {"routes": []},
        },
        "worker": {
            # The processes that measure are children of the worker, which daemonic processes may not have.
            "daemon": False,
            # Its samples of every thread's stack disturb what is timed.
            "profile": {"enabled": False},
            "http": {"routes": []},
        },
        # A cut network is noticed after this long, not after half a minute and more.
        "comm": {"timeouts": {"connect": "10s", "tcp": "12s"}},
        "diagnostics": {"nvml": False},
    }
}

#: Where nothing but this machine reaches.
LOOPBACK = "127.0.0.1"

#: Of a folder with the credentials of one fleet, in PEM: the authority's certificate, ours, and its key.
CREDENTIALS = ("ca.pem", "cert.pem", "key.pem")

_ADDRESS = re.compile(r"(?:(?P<protocol>tcp|tls)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})")
_LAST_PORT = 65_535


def distributed() -> Any:
    """The library, with our settings.

    Raises:
        UsageError: it is not installed.
    """
    try:
        module = import_module("distributed")
    except ImportError as error:
        raise UsageError(f"a fleet needs dask ({error}): pip install 'headroom[fleet]'") from error
    config = import_module("dask").config
    if SETTINGS not in config.defaults:
        config.update_defaults(SETTINGS)
    return module


def hush() -> None:
    """Have dask print nothing in this process: what it says of a lost connection is told by the error that follows, in
    one sentence."""
    for name in list(logging.root.manager.loggerDict):
        # Its settings give several of its loggers a level of their own.
        if name.split(".")[0] in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def security(folder: Path | None) -> Any:
    """What dask calls a security: TLS both ways with the credentials in ``folder``, or none.

    Raises:
        UsageError: a file is missing.
    """
    if folder is None:
        return None
    missing = [name for name in CREDENTIALS if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"--tls {folder}: there is no {missing[0]}; the folder holds {', '.join(CREDENTIALS)}")
    ca, cert, key = (str(folder / name) for name in CREDENTIALS)
    names = {f"tls_{role}_{what}": path for role in ("client", "scheduler", "worker")
             for what, path in (("cert", cert), ("key", key))}  # fmt: skip
    return distributed().Security(tls_ca_file=ca, require_encryption=True, **names)


def refuse_the_open(host: str, folder: Path | None, *, insecure: bool) -> None:
    """Check that nobody else can have their code run here.

    Raises:
        UsageError: ``host`` is not this machine's loopback interface, and there are no credentials.
    """
    if folder is None and not insecure and host not in (LOOPBACK, "localhost", "::1"):
        raise UsageError(
            f"a fleet at {host} would run whatever anyone in its network sends it: give --tls FOLDER "
            "(docs/fleet.md), or --insecure where nobody else is in that network"
        )


def host_of(address: str) -> str:
    """The host in ``tcp://host:port``.

    Raises:
        UsageError: the address is none.
    """
    return _parts(address)[1].strip("[]")


def full_address(address: str, folder: Path | None) -> str:
    """``address`` with the protocol in front: TLS where there are credentials in ``folder``.

    Raises:
        UsageError: the address is none, or names the other protocol.
    """
    protocol, host, port = _parts(address)
    needed = "tcp" if folder is None else "tls"
    if protocol not in ("", needed):
        way = "give --tls FOLDER with its credentials" if folder is None else f"leave --tls out, or name tls://{host}"
        raise UsageError(f"{address} and its credentials do not fit: {way}")
    return f"{needed}://{host}:{port}"


def _parts(address: str) -> tuple[str, str, str]:
    """Protocol, which may be left out, host and port of a scheduler's address."""
    found = _ADDRESS.fullmatch(address)
    if not found or not 0 < int(found["port"]) <= _LAST_PORT:
        raise UsageError(
            f"'{plain_line(address, 80)}' is no scheduler's address: expected HOST:PORT, tcp://HOST:PORT, or local"
        )
    return found["protocol"] or "", found["host"], found["port"]


def greet(address: str, folder: Path | None, within_s: float) -> None:
    """Talk to whoever listens at ``address``, and hang up: a client of dask's waits for ever for one who is silent.

    Raises:
        GpuError: nobody listens there, or who does is no scheduler to whom these credentials mean something.
        UsageError: the credentials are none.
    """
    connect, security_of = import_module("distributed.comm").connect, security(folder)
    try:
        options = {} if security_of is None else security_of.get_connection_args("client")
    except OSError as error:
        raise UsageError(f"--tls {folder}: these are no credentials in PEM: {plain_line(str(error))}") from error

    async def talk() -> None:
        comm = await asyncio.wait_for(connect(address, timeout=within_s, **options), within_s)
        comm.abort()

    # A thread of its own has no event loop yet; a notebook's has one.
    with ThreadPoolExecutor(1) as beside:
        try:
            beside.submit(asyncio.run, talk()).result()
        except Exception as error:
            raise GpuError(
                f"no fleet's scheduler answers at {address}: start one with headroom fleet scheduler"
            ) from error
