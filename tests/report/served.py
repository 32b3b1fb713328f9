"""A served database, and asking it as politely or as rudely as a test wants."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from headroom.store.rows import Implementation
from headroom.store.store import Store
from store.factory import OTHER, SYSTEM, make_network, make_sweep, make_timing

#: Longer than a page takes on a slow machine.
PATIENCE_S = 60.0

#: What a stranger may call things.
NASTY = "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1>\u202e\x1b[31m"

#: Layers in the served database: more than a page shows.
LAYERS = 60


def fill(file: Path) -> None:
    """Two systems, layers for two pages, a staircase of the same layer, and names that bite."""
    nasty = replace(
        make_timing("eng1", median_us=5.0), implementation=Implementation("cudnn", NASTY, "nhwc"), reason=NASTY
    )
    with Store.open(file) as store:
        for number in range(LAYERS):
            store.record(make_sweep(number))
        store.record(make_sweep(0, system=OTHER))
        store.record(make_sweep(1, timings=(make_timing(), nasty)))
        store.record_network(SYSTEM, make_network(model=NASTY))


@dataclass(frozen=True)
class Served:
    """A site, at a port of this machine."""

    port: int
    log: Path = Path(os.devnull)

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def served(file: Path, *options: object, log: Path) -> Iterator[Served]:
    """``headroom db serve`` over the database at ``file``; all that it ever prints is in ``log``."""
    command = [sys.executable, "-m", "headroom", "db", "serve", "--port", "0", "--db", str(file), *map(str, options)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        limit = threading.Timer(PATIENCE_S, process.kill)
        try:
            assert process.stdout is not None
            limit.start()
            line = process.stdout.readline()
            limit.cancel()
            assert line.startswith("http://"), (line, log.read_text())
            errors.write(line)
            errors.flush()
            yield Served(int(line.split("/")[2].rpartition(":")[2]), log)
        finally:
            limit.cancel()
            process.kill()
            process.communicate()
