"""``headroom db serve``: what it shows, and what it does with those who ask for something else."""

from __future__ import annotations

import base64
import http.client
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from headroom.cli.main import run
from headroom.errors import UsageError
from headroom.report.serve.asked import Asked
from headroom.report.serve.server import read_token
from headroom.store.store import Store
from report.served import LAYERS, NASTY, PATIENCE_S, Served, fill, served
from store.factory import BF16, OTHER, SYSTEM, dump, make_chain, make_sweep

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("served") / "m.sqlite"
    fill(file)
    return file


@pytest.fixture(scope="module")
def site(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(database, log=tmp_path_factory.mktemp("log") / "log") as there:
        yield there


def test_the_first_page_names_every_system(site: Served) -> None:
    status, headers, text = site.ask("/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    for system in (SYSTEM, OTHER):
        assert f'href="/systems/{system.id}"' in text
        assert system.title in text


def test_layers_come_in_pages_of_which_every_one_is_shown_once(site: Served) -> None:
    path, seen = f"/systems/{SYSTEM.id}?dtype=bf16", list[str]()
    for page in (1, 2):
        text = site.ask(f"{path}&page={page}")[2]
        seen += re.findall(rf"/systems/{SYSTEM.id}/chains/([0-9a-f]+)", text)
    assert sorted(seen) == sorted(make_chain(number).digest for number in range(LAYERS))
    assert "Next (page 2 of 2)" in site.ask(path)[2]
    status, _, text = site.ask(f"{path}&page=1000")
    assert (status, text.count("/chains/")) == (200, 0), "a page beyond the last is empty, and no error"


def test_a_search_finds_layers_by_their_words(site: Served) -> None:
    path = f"/systems/{SYSTEM.id}?dtype=bf16&q="
    assert f"{LAYERS} layers and chains" in site.ask(path + "CONVOL")[2]
    assert "0 layers and chains" in site.ask(path + "attention")[2]
    assert "1 layers and chains" in site.ask(path + make_chain(3).digest[:12])[2]


@pytest.mark.parametrize("words", ["%25", "_", "'+OR+1%3D1--", "%5C", "x%27%29%3BDROP+TABLE+timings%3B--", "%00"])
def test_sql_in_a_search_is_words_like_any_other(site: Served, database: Path, words: str) -> None:
    with Store.open(database, read_only=True) as store:
        before = dump(store)
    status, _, text = site.ask(f"/systems/{SYSTEM.id}?dtype=bf16&q={words}")
    assert status == 200
    assert ("0 layers and chains" in text) or words == "%00", "nothing has such a name"
    with Store.open(database, read_only=True) as store:
        assert dump(store) == before


def test_a_layers_page_has_every_row_with_its_time(site: Served) -> None:
    status, _, text = site.ask(f"/systems/{SYSTEM.id}/chains/{make_chain(0).digest}")
    assert status == 200
    assert "eng1_k2=5" in text
    assert "bf16, L2 warm" in text
    assert "32×8×8" in text


def test_a_staircase_is_drawn_from_layers_that_differ_in_width(site: Served) -> None:
    status, _, text = site.ask(f"/systems/{SYSTEM.id}/staircases?dtype=bf16")
    assert status == 200
    assert "1 layers were measured at 4 output widths and more" in text
    assert text.count('<circle class="mark') == LAYERS
    assert "0 layers were measured" in site.ask(f"/systems/{OTHER.id}/staircases?dtype=bf16")[2]


@pytest.mark.parametrize("path", ["/", "/models", f"/systems/{SYSTEM.id}/chains/{make_chain(1).digest}"])
def test_names_of_strangers_are_text(site: Served, path: str) -> None:
    text = site.ask(path)[2]
    assert "<script" not in text
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_every_answer_forbids_what_a_page_does_not_need(site: Served) -> None:
    for path in ("/", "/nothing", "/systems/zz"):
        headers = site.ask(path)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_the_site_can_only_be_read(site: Served, method: str) -> None:
    status, headers, _ = site.ask("/", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_head_says_what_get_would_without_saying_it(site: Served) -> None:
    status, headers, text = site.ask("/", "HEAD")
    assert (status, text) == (200, "")
    assert int(headers["content-length"]) > 1000


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/systems/..%2f..%2fetc%2fpasswd", "//etc/passwd",
     "/systems/%00", "/static/report.css", f"/systems/{SYSTEM.id}/", "/systems/deadbeef", "/systems/" + "a" * 500,
     f"/systems/{SYSTEM.id}/chains/{'0' * 32}", f"/systems/{SYSTEM.id}/chains/../../x", "/%ff%fe"],
)  # fmt: skip
def test_a_path_that_is_no_page_leads_nowhere(site: Served, path: str) -> None:
    status, headers, text = site.ask(path)
    assert status in (400, 404)
    assert "location" not in headers
    assert "root:" not in text


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=-1", "page=1e9", "page=99999999999999999999999", "page=x", "dtype=fp13", "l2=tepid",
     "q=" + "x" * 101, "q=a+b+c+d+e+f+g", "page=1&page=0"],
)  # fmt: skip
def test_a_value_that_is_none_is_refused_with_a_sentence(site: Served, query: str) -> None:
    status, _, text = site.ask(f"/systems/{SYSTEM.id}?{query}")
    assert status == 400
    assert "That is no question" in text


def test_an_address_that_is_too_long_is_refused(site: Served) -> None:
    assert site.ask("/?q=" + "x" * 4000)[0] == 414
    # It may hang up before it has heard all of it.
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE_S) as wire:
        wire.sendall(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert wire.recv(100).split()[1] in (b"400", b"414")
    assert site.ask("/")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.", "[::2]", "0.0.0.0"])
def test_a_name_that_somebody_made_lead_here_is_refused(site: Served, host: str) -> None:
    assert site.ask("/", headers={"Host": host})[0] in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "LOCALHOST:80", "[::1]:80"])
def test_this_machines_own_names_are_served(site: Served, host: str) -> None:
    assert site.ask("/", headers={"Host": host})[0] == 200


def test_nonsense_on_the_wire_ends_that_connection_alone(site: Served) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for junk in (b"\x00\xff" * 100 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", upgrade):
        with suppress(ConnectionError), socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE_S) as wire:
            wire.sendall(junk)
            wire.shutdown(socket.SHUT_WR)
            while wire.recv(4096):
                pass
    assert site.ask("/")[0] == 200
    assert site.log.read_text().splitlines()[1:] == [], "nobody fills a log with nonsense"


def test_who_keeps_connections_open_keeps_others_out_for_a_while_at_most(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    import uvicorn

    from headroom.report.serve import server
    from headroom.store.current import CurrentStores

    monkeypatch.setattr(server, "MOST_CONNECTIONS", 8)
    monkeypatch.setattr(server, "LONGEST_CONNECTION_S", 2.0)
    made: list[uvicorn.Server] = []

    class Kept(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            made.append(self)

    monkeypatch.setattr(uvicorn, "Server", Kept)
    said: list[str] = []
    with CurrentStores(database) as stores:
        thread = threading.Thread(
            target=lambda: server.serve(stores, "127.0.0.1", 0, token=None, say=said.append), daemon=True
        )
        thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while not (made and made[0].started):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        there = Served(int(said[0].split("/")[2].rpartition(":")[2]))
        slow = [socket.create_connection(("127.0.0.1", there.port), timeout=PATIENCE_S) for _ in range(12)]
        for wire in slow:
            wire.sendall(b"GET / HTTP/1.1\r\nHost: local")
        while not _is_served(there):
            assert time.monotonic() < deadline, "they keep everyone out"
            time.sleep(0.1)
        for wire in slow:
            wire.close()
        made[0].should_exit = True
        thread.join(PATIENCE_S)


def _is_served(there: Served) -> bool:
    """Whether a page comes; at a site whose places are taken, or that ends slow connections, it may not."""
    try:
        return there.ask("/")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_another_interface_needs_a_token(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "serve", "--host", "0.0.0.0", "--port", "0", "--db", str(database)]) == 2
    assert "everyone in its network could read the database: give --token-file" in capsys.readouterr().err


def test_a_database_that_is_replaced_or_removed_is_seen_as_it_is(tmp_path: Path) -> None:
    file, other = tmp_path / "m.sqlite", tmp_path / "other.sqlite"
    for place, system in ((file, SYSTEM), (other, OTHER)):
        with Store.open(place) as store:
            store.record(make_sweep(0, system=system))
    with served(file, log=tmp_path / "log") as there:
        assert SYSTEM.id in there.ask("/")[2]
        other.replace(file)
        status, _, text = there.ask("/")
        assert (status, SYSTEM.id in text, OTHER.id in text) == (200, False, True)
        file.unlink()
        status, _, text = there.ask("/")
        assert status == 503
        assert "there is no database at" in text
        file.write_bytes(b"no database" * 1000)
        assert there.ask("/")[0] == 503
        file.unlink()
        with Store.open(file) as store:
            store.record(make_sweep(0))
        assert there.ask(f"/systems/{SYSTEM.id}")[0] == 200


def test_a_database_that_a_newer_headroom_changes_meanwhile_is_trouble_and_not_absence(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "m.sqlite"
    with Store.open(file) as store:
        store.record(make_sweep(0))
    with served(file, log=tmp_path / "log") as there:
        assert there.ask("/")[0] == 200
        with closing(sqlite3.connect(file)) as newer:
            newer.execute("ALTER TABLE timings RENAME TO measurements")
            newer.commit()
        assert there.ask("/")[0] == there.ask(f"/systems/{SYSTEM.id}")[0] == 503


def test_what_goes_wrong_inside_is_a_page_too_and_told_in_the_log_alone(
    database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import asyncio

    from headroom.report.serve import app, pages
    from headroom.report.serve.guard import Guard
    from headroom.store.current import CurrentStores

    def fail(stores: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(pages, "systems_page", fail)
    with CurrentStores(database) as stores:
        made = app.make_app(stores, lambda inner: Guard(inner, hosts=["localhost"], token=None))
        said = list[Any]()

        async def hear() -> dict[str, object]:
            return {"type": "http.request"}

        async def say(message: object) -> None:
            said.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b""}
        asyncio.run(made({**scope, "headers": [(b"host", b"localhost")]}, hear, say))
    assert said[0]["status"] == 500
    assert b"secret" not in said[1]["body"]
    assert "a secret of ours" in caplog.text


def test_at_all_interfaces_the_site_is_called_what_the_machine_is(database: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    with served(database, "--host", "0.0.0.0", "--token-file", token, log=tmp_path / "log") as there:
        bearer = {"Authorization": f"Bearer {token.read_text().strip()}"}
        assert there.ask("/", headers={"Host": f"{socket.gethostname()}:{there.port}", **bearer})[0] == 200
        assert there.ask("/", headers={"Host": "evil.example", **bearer})[0] == 421
        assert f"http://{socket.gethostname()}:{there.port}/" in _logged(tmp_path / "log", "http://")


def _logged(log: Path, words: str) -> str:
    """What was printed, once these words are among it."""
    deadline = time.monotonic() + PATIENCE_S
    while words not in (text := log.read_text()):
        assert time.monotonic() < deadline, text
        time.sleep(0.02)
    return text


def test_with_a_token_only_who_knows_it_is_served_and_it_is_never_printed(database: Path, tmp_path: Path) -> None:
    file, log = tmp_path / "token", tmp_path / "log"
    with served(database, "--token-file", file, "--name", "headroom.lab", log=log) as there:
        token = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert len(token) >= 40
        basic = base64.b64encode(f"anyone:{token}".encode()).decode()
        for good in (f"Bearer {token}", f"Basic {basic}"):
            assert there.ask("/", headers={"Authorization": good, "Host": "headroom.lab"})[0] == 200
        status, headers, text = there.ask("/")
        assert (status, headers["www-authenticate"].split()[0]) == (401, "Basic")
        assert SYSTEM.gpu not in text
        wrong = [
            "Bearer",
            f"Bearer {token}x",
            f"Bearer {token[:-1]}",
            f"Token {token}",
            "Basic !!!",
            "Basic " + basic[:9],
        ]
        for bad in wrong:
            assert there.ask("/", headers={"Authorization": bad})[0] == 401
        assert there.ask(f"/?token={token}")[0] == 401, "an address is kept in histories"
    assert token not in log.read_text()


def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    first = read_token(file)
    assert read_token(file) == first, "the next run has the same"
    file.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others: chmod 600"):
        read_token(file)
    file.chmod(0o600)
    file.write_text("secret")
    with pytest.raises(UsageError, match="shorter than 16 characters"):
        read_token(file)
    with pytest.raises(UsageError, match="cannot be made"):
        read_token(tmp_path / "nowhere" / "token")


def test_a_port_in_use_is_told(database: Path, site: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "serve", "--port", str(site.port), "--db", str(database)]) == 2
    assert f"cannot listen at 127.0.0.1 port {site.port}" in capsys.readouterr().err


def test_what_is_asked_for_is_asked_for_again_by_its_links() -> None:
    asked = Asked.read({"q": "conv relu", "dtype": "bf16", "l2": "cold", "page": "3"})
    assert (asked.words, asked.dtype, asked.l2, asked.page) == (("conv", "relu"), BF16, "cold", 3)
    assert asked.query(4) == "?q=conv+relu&dtype=bf16&l2=cold&page=4"


def test_nasty_names_are_in_the_database_that_is_served(database: Path) -> None:
    with Store.open(database, read_only=True) as store:
        assert NASTY in {run.model for run in store.networks(SYSTEM)}
