"""Writers of one SQLite file take fair turns, and whoever cannot take a turn writes all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headroom.store import turns
from headroom.store.store import Store
from headroom.store.turns import turn
from headroom.store.vacuum import vacuum
from store.crowd import Member, Say
from store.factory import BF16, SYSTEM, make_sweep

pytestmark = pytest.mark.skipif(turns.fcntl is None, reason="needs the locks of Unix")

#: Long enough for a thread to have fallen asleep at the lock, and for what must not happen to have happened.
_MOMENT_S = 0.05


def test_writers_take_their_turns_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    order: list[int] = []
    with turn(tmp_path) as is_ours:
        assert is_ours
        queue = [_queueing(tmp_path, lambda i=i: order.append(i), already=i) for i in range(8)]
        assert order == []
    _join(queue)
    assert order == list(range(8))


def test_a_writer_that_comes_back_finds_the_others_before_it(tmp_path: Path) -> None:
    order: list[str] = []
    first_is_in = threading.Event()

    def be_first() -> None:
        order.append("first")
        first_is_in.set()
        _until_waiting(tmp_path, 2)

    with turn(tmp_path):
        queue = [_queueing(tmp_path, be_first), _queueing(tmp_path, lambda: order.append("second"), already=1)]
    assert first_is_in.wait(10)
    with turn(tmp_path):
        order.append("back")
    _join(queue)
    assert order == ["first", "second", "back"]


def test_a_killed_writer_gives_its_turn_back_at_once(tmp_path: Path) -> None:
    stuck = Member(_holding(tmp_path))
    assert stuck.has_said(10.0)
    taken: list[bool] = []
    queue = [_queueing(tmp_path, lambda: taken.append(True))]
    assert taken == []
    stuck.kill()
    _join(queue)
    assert taken == [True]


def test_whoever_was_left_waiting_gives_the_turn_back_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with turn(tmp_path), monkeypatch.context() as patch:
        patch.setattr(turns, "TURN_WAIT_S", _MOMENT_S)
        with turn(tmp_path) as is_ours:
            assert not is_ours
    with turn(tmp_path) as is_ours:
        assert is_ours


def test_no_open_folder_and_no_thread_is_left_behind(tmp_path: Path) -> None:
    with turn(tmp_path):
        queue = [_queueing(tmp_path, lambda: None, already=i) for i in range(4)]
    _join(queue)
    _until(lambda: all(thread.name != "headroom-turn" for thread in threading.enumerate()))
    if Path("/proc/self/fd").is_dir():
        assert str(tmp_path) not in [
            str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()
        ]


def test_a_stopped_writer_at_the_front_delays_the_others_but_does_not_stop_them(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(file) as store:
        monkeypatch.setattr(turns, "TURN_WAIT_S", _MOMENT_S)
        with turn(file.parent):
            store.record(make_sweep())
        assert len(store.finished(SYSTEM, BF16, "all")) == 1


@pytest.mark.parametrize("refusal", ["windows", "network", "closed folder"])
def test_where_there_are_no_such_locks_one_writes_without(
    file: Path, refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    with Store.open(file) as store:
        if refusal == "windows":
            monkeypatch.setattr(turns, "fcntl", None)
        elif refusal == "network":
            monkeypatch.setattr(turns.fcntl, "flock", refuse)
        else:
            monkeypatch.setattr(turns.os, "open", refuse)
        with turn(file.parent) as is_ours:
            assert not is_ours
        store.record(make_sweep())
        assert len(store.finished(SYSTEM, BF16, "all")) == 1


def test_writers_through_a_link_queue_with_the_others(file: Path, tmp_path: Path) -> None:
    Store.open(file).close()
    link = tmp_path / "elsewhere" / "link.sqlite"
    link.parent.mkdir()
    link.symlink_to(file)
    with Store.open(link) as store, turn(file.parent):
        wrote = threading.Event()
        writer = threading.Thread(target=lambda: (store.record(make_sweep()), wrote.set()))
        writer.start()
        assert not wrote.wait(_MOMENT_S)
    writer.join(10)
    assert wrote.is_set()


@pytest.mark.parametrize("action", [lambda store: store.record(make_sweep(1)), vacuum], ids=["record", "vacuum"])
def test_whatever_writes_waits_for_its_turn(file: Path, action: Callable[[Store], object]) -> None:
    with Store.open(file) as store:
        store.record(make_sweep())
        done = threading.Event()
        with turn(file.parent):
            writer = threading.Thread(target=lambda: (action(store), done.set()))
            writer.start()
            assert not done.wait(_MOMENT_S)
        writer.join(10)
        assert done.is_set()


def test_making_a_database_waits_for_its_turn(file: Path) -> None:
    made = threading.Event()
    with turn(file.parent):
        maker = threading.Thread(target=lambda: (Store.open(file).close(), made.set()))
        maker.start()
        assert not made.wait(_MOMENT_S)
    maker.join(10)
    assert made.is_set()


def test_reading_waits_for_nobody(file: Path) -> None:
    with Store.open(file) as store:
        store.record(make_sweep())
    with turn(file.parent), Store.open(file, read_only=True) as store:
        assert len(store.finished(SYSTEM, BF16, "all")) == 1


def test_nothing_is_left_beside_the_database(file: Path) -> None:
    with Store.open(file) as store:
        store.record(make_sweep())
        vacuum(store)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def _queueing(folder: Path, action: Callable[[], object], *, already: int = 0) -> threading.Thread:
    """A thread that waits for its turn, behind the ``already`` waiting, and then acts."""

    def work() -> None:
        with turn(folder) as is_ours:
            assert is_ours
            action()

    thread = threading.Thread(target=work)
    thread.start()
    _until_waiting(folder, already + 1)
    return thread


def _until_waiting(folder: Path, count: int) -> None:
    """Until the system says that ``count`` wait for the folder's lock; elsewhere than on Linux, a moment."""
    if not Path("/proc/locks").exists():
        time.sleep(_MOMENT_S)
        return
    inode = f":{folder.stat().st_ino} "
    _until(
        lambda: sum("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()) >= count
    )


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def _holding(folder: Path) -> Callable[[Say], None]:
    def work(say: Say) -> None:
        with turn(folder):
            say("mine")
            time.sleep(60)

    return work
