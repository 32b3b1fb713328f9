"""Running the site: where it listens, who may come in, and how long anyone may keep a connection."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headroom.errors import UsageError

if TYPE_CHECKING:
    from headroom.store.current import CurrentStores

LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: All interfaces of this machine.
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - needs a token, as any but loopback does

#: Connections at a time: more are told to come back.
MOST_CONNECTIONS = 64

#: Seconds after which a connection ends, whatever it does: nobody keeps one by sending or reading slowly.
LONGEST_CONNECTION_S = 30.0

#: Fewer characters can be guessed.
_SHORTEST_TOKEN = 16


def serve(
    stores: CurrentStores,
    host: str,
    port: int,
    *,
    token: str | None,
    names: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Serve ``stores`` until Ctrl-C.

    Args:
        host: the interface to listen on; another one than loopback needs a ``token``.
        port: 0 takes a free one.
        names: under which other names the site is asked for, behind a proxy for example.
        say: told the address.

    Raises:
        UsageError: a library is missing, there is no token, or nothing can listen there.
    """
    if host not in LOOPBACK and token is None:
        raise UsageError(
            f"at {host} everyone in its network could read the database: give --token-file FILE, which is made with a "
            "new token where it is not there"
        )
    # It has a line for all nonsense that others send, and a traceback for every page that Ctrl-C cuts off; what fails
    # on a page of ours is told by the application.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    uvicorn, app = _application(stores, token, (*LOOPBACK, *_names_of(host), *names))
    with closing(_listening(host, port)) as listening:
        config = uvicorn.Config(
            app,
            http=_protocol(LONGEST_CONNECTION_S),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=16 << 10,
        )
        called = _names_of(host)[0]
        shown = f"[{called}]" if ":" in called else called
        say(f"http://{shown}:{listening.getsockname()[1]}/ serves {stores.now().name}; Ctrl-C ends it")
        uvicorn.Server(config).run(sockets=[listening])


def read_token(file: Path) -> str:
    """The token in ``file``, which is made for its owner's eyes alone where it is not there.

    Raises:
        UsageError: it cannot be read or made, others can read it, or it is too short.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _existing_token(file)
    except OSError as error:
        raise UsageError(f"--token-file {file} cannot be made: {error.strerror}") from error
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(token + "\n")
    return token


def _existing_token(file: Path) -> str:
    try:
        token, mode = file.read_text("utf-8").strip(), file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {file} cannot be read: it is no file with a token for you") from error
    if os.name == "posix" and mode & 0o077:
        raise UsageError(f"--token-file {file} can be read by others: chmod 600 {file}")
    if len(token) < _SHORTEST_TOKEN:
        raise UsageError(f"the token in {file} is shorter than {_SHORTEST_TOKEN} characters: delete it for a new one")
    return token


def _application(stores: CurrentStores, token: str | None, hosts: Sequence[str]) -> tuple[Any, Any]:
    try:
        uvicorn = import_module("uvicorn")
        from headroom.report.serve.app import make_app
    except ImportError as error:
        raise UsageError(f"serving needs more libraries ({error}): pip install 'headroom[serve]'") from error
    from headroom.report.serve.guard import Guard

    return uvicorn, make_app(stores, partial(Guard, hosts=hosts, token=token))


def _names_of(host: str) -> tuple[str, ...]:
    """What the site at interface ``host`` is called; at all interfaces, what this machine is."""
    if host not in EVERYWHERE:
        return (host,)
    addresses: list[str] = []
    with suppress(OSError):
        addresses = [str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)]
    return (*dict.fromkeys([socket.gethostname(), socket.getfqdn(), *addresses]),)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"cannot listen at {host} port {port}: {error.strerror}; --port names another") from error


def _protocol(longest_s: float) -> type:
    """HTTP whose connections end after ``longest_s`` seconds: uvicorn itself waits for ever for a request's headers."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Brief(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._ending = self.loop.call_later(longest_s, transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            self._ending.cancel()
            super().connection_lost(exc)

    return Brief
