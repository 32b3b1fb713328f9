"""Who may ask what: methods, hosts, lengths and the token are looked at before anything else is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: Longest path with its query, in bytes.
LONGEST_ADDRESS = 2048

#: What every answer says, whatever it is.
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """Lets requests through to ``app`` that read, name one of ``hosts``, and know the token where there is one.

    A page on another site can have its own name lead to this machine; its requests name that host and are refused.
    """

    def __init__(self, app: App, *, hosts: Collection[str], token: str | None) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts)
        self._token = None if token is None else _digest(token.encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no page here talks in any other way
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        if refusal is None:
            await self._app(scope, receive, answer)
            return
        status, sentence, extra = refusal
        plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(sentence)), *extra]
        await answer({"type": "http.response.start", "status": status, "headers": plain})
        await answer({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else sentence})

    def _refusal(
        self, scope: Message, headers: dict[bytes, bytes]
    ) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]] | None:
        if _host_name(headers.get(b"host", b"")) not in self._hosts:
            return 421, b"This site has another name; headroom db serve --name NAME adds one.\n", ()
        if not self._is_known(headers.get(b"authorization", b"")):
            ask = (b"www-authenticate", b'Basic realm="Headroom", charset="UTF-8"')
            return 401, b"The token is the password; any name will do.\n", (ask,)
        if scope["method"] not in ("GET", "HEAD"):
            return 405, b"This site can only be read.\n", ((b"allow", b"GET, HEAD"),)
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            return 414, b"This address is too long.\n", ()
        return None

    def _is_known(self, authorization: bytes) -> bool:
        if self._token is None:
            return True
        scheme, _, value = authorization.strip().partition(b" ")
        said = value.strip()
        if scheme.lower() == b"basic":
            try:
                said = base64.b64decode(said, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                said = b""
        elif scheme.lower() != b"bearer":
            said = b""
        # Digests are equally long, and comparing them takes as long whatever was said.
        return hmac.compare_digest(_digest(said), self._token)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _host_name(host: bytes) -> str:
    """The name in a Host header, without its port."""
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]
