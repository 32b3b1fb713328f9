"""Headers come once for all test processes, or a test that needs them is skipped soon."""

from __future__ import annotations

import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from measure_travel.headers import WHEELS, include_folders


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "cache" / "headroom-tests"


@pytest.fixture
def trickle() -> Iterator[str]:
    """The address of a server that begins every answer and never ends it, a byte at a time."""
    over = threading.Event()

    def answer(client: socket.socket) -> None:
        with client:
            try:
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99999\r\n\r\n")
                while not over.wait(0.1):
                    client.sendall(b" ")
            except OSError:
                return  # the other side is gone

    def serve() -> None:
        while not over.is_set():
            try:
                client, _ = server.accept()
            except OSError:
                continue
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        over.set()
        thread.join()


def test_a_network_that_never_ends_its_answer_is_given_up(
    cache: Path, trickle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", trickle)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    begin = time.monotonic()
    with pytest.raises(OSError, match="they did not come within 4 s"):
        include_folders(patience_s=4.0)
    assert time.monotonic() - begin < 30.0
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_an_index_that_nobody_serves_is_said_with_the_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(OSError, match=r"no headers of nvidia-cudnn-cu13 9\..*lists no such wheel"):
        include_folders()
    assert [path.name for path in cache.iterdir()] == ["lock"]


def test_two_processes_that_come_at_once_share_what_one_fetches(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in WHEELS.items():
        file = tmp_path / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(file, "w") as wheel:
            wheel.writestr(f"nvidia/{name}/include/crt/a.h", "// a header\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: include_folders(), range(2))
    assert one == other
    assert [(folder / "crt" / "a.h").read_text() for folder in one[: len(WHEELS)]] == ["// a header\n"] * len(WHEELS)
    assert sorted(path.name for path in cache.iterdir()) == ["lock", *sorted(path.name for path in one[: len(WHEELS)])]
