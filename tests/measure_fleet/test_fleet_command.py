"""``headroom measure --fleet`` and ``headroom fleet``: what they print, and what is left of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from headroom.measure.fleet.card import Card
from headroom.measure.fleet.child import Child, Hands
from headroom.measure.fleet.dask import CREDENTIALS, LOOPBACK, SETTINGS, distributed
from headroom.store.store import Store
from measure.chains import script
from measure.processes import children_of, environment, is_alive, wait_until_gone
from measure_fleet.fleets import BF16, PATIENCE_S, SYSTEM, until
from onnx_models import model, node

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

MODEL = Path(__file__).resolve().parents[2] / "examples" / "resnet50.onnx"

#: Promised for the time between Ctrl-C and the end of everything.
GONE_WITHIN_S = 2.0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "m.sqlite"


@pytest.fixture(autouse=True)
def _folders_of_those_that_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's folder outlives one who kills whoever started it: not in everybody's folder for such."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "headroom", *map(str, arguments)]


def run(*arguments: object, bench: str = "fake") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(HEADROOM_BENCH=bench),
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,
    )


@contextmanager
def standing(*arguments: object, bench: str = "fake") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that stays, with the first line that it prints."""
    process = subprocess.Popen(
        command(*arguments), env=environment(HEADROOM_BENCH=bench), stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(PATIENCE_S, process.kill)
    try:
        assert process.stdout is not None
        limit.start()
        said = process.stdout.readline()
        limit.cancel()
        yield process, said
    finally:
        limit.cancel()
        process.kill()
        process.communicate()


def descendants(pid: int) -> list[int]:
    found = children_of(pid)
    return [*found, *(below for child in found for below in descendants(child))]


def test_a_scheduler_workers_status_and_a_run_are_four_commands(database: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    nodes = [node("Gemm", "x w", "h"), node("Relu", "h")]
    made = model(nodes, {"x": [8, 64]}, weights={"w": [64, 32]})
    small.write_bytes(made.SerializeToString())
    bench = script(plans=1, gpus=["Fake GPU"] * 2)
    with standing("fleet", "scheduler", "--port", 0) as (_, said):
        found = re.fullmatch(r"the fleet's scheduler is at (tcp://127\.0\.0\.1:\d+)\n", said)
        assert found, said
        address = found[1].removeprefix("tcp://")
        with standing("fleet", "worker", address, "--seats", 1, bench=bench) as (_, said):
            assert said == f"GPU 0: {SYSTEM.title}, 1 layers at a time\n"
            shown = run("fleet", "status", address)
            assert (shown.returncode, shown.stderr) == (0, "")
            assert "2 GPUs of 1 kind" in shown.stdout
            assert shown.stdout.rstrip().endswith("No run.")
            done = run("measure", small, "--db", database, "--fleet", address)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^\d+ layers measured in ", done.stdout, re.MULTILINE)
    with Store.open(database) as store:
        assert store.finished(SYSTEM, BF16, "all")


@pytest.mark.alone
def test_ctrl_c_ends_a_local_fleet_within_two_seconds_and_leaves_no_process(database: Path) -> None:
    bench = script(plans=2, plan_s=0.2, gpus=["Fake GPU"] * 2)
    whole = subprocess.Popen(
        command("measure", MODEL, "--db", database, "--fleet", "local"),
        env=environment(HEADROOM_BENCH=bench),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: _started_as(whole.pid, b"headroom.measure.worker"), lambda found: len(found) >= 2, "both GPUs' work")
    family = descendants(whole.pid)
    begin = time.monotonic()
    whole.send_signal(signal.SIGINT)
    _, said = whole.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - begin < GONE_WITHIN_S
    assert (whole.returncode, said) == (130, "headroom: interrupted\n")
    wait_until_gone(family, within_s=GONE_WITHIN_S)


def test_a_killed_run_leaves_no_process_of_a_local_fleet(database: Path) -> None:
    bench = script(plans=2, plan_s=0.2, gpus=["Fake GPU"])
    whole = subprocess.Popen(
        command("measure", MODEL, "--db", database, "--fleet", "local", "-q"), env=environment(HEADROOM_BENCH=bench)
    )
    until(lambda: _started_as(whole.pid, b"headroom.measure.worker"), bool, "the first layer")
    family = descendants(whole.pid)
    whole.kill()
    whole.wait()
    wait_until_gone(family, within_s=PATIENCE_S)


def test_a_run_that_loses_its_scheduler_is_one_line_and_gpu_trouble(database: Path) -> None:
    bench = script(plans=2, plan_s=0.2, gpus=["Fake GPU"])
    whole = subprocess.Popen(
        command("measure", MODEL, "--db", database, "--fleet", "local"),
        env=environment(HEADROOM_BENCH=bench),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: _started_as(whole.pid, b"headroom.measure.worker"), bool, "the first layer")
    (scheduler,) = _started_as(whole.pid, b'"role": "scheduler"')
    os.kill(scheduler, signal.SIGKILL)
    _, said = whole.communicate(timeout=PATIENCE_S)
    assert whole.returncode == 4
    assert re.fullmatch(r"headroom: the fleet's scheduler at \S+ does not answer any more: .*\n", said), said


def _started_as(pid: int, words: bytes) -> list[int]:
    """The descendants of ``pid`` whose command holds these words."""
    found = []
    for each in descendants(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            if words in Path(f"/proc/{each}/cmdline").read_bytes():
                found.append(each)
    return found


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["measure", MODEL, "--fleet", "local", "--gpu", 1], "--gpu is for one GPU: leave it out"),
        (["measure", MODEL, "--fleet", "local", "--network"], "--network is for one GPU: leave it out"),
        (["measure", MODEL, "--tls", "keys"], "--tls is for a fleet"),
        (["measure", MODEL, "--fleet", "nowhere"], "'nowhere' is no scheduler's address: expected HOST:PORT"),
        (["fleet", "status", "here:8786x"], "is no scheduler's address"),
        (["fleet", "status", "here:65536"], "is no scheduler's address"),
        (["fleet", "status", "http://here:8786"], "is no scheduler's address"),
        (["fleet", "status", "tcp://here and there:8786"], "is no scheduler's address"),
        (["fleet", "status", "tls://here:8786"], "give --tls FOLDER with its credentials"),
        (["fleet", "scheduler", "--host", "0.0.0.0"], "would run whatever anyone in its network sends it: give --tls"),
        (["fleet", "worker", "gpu-box:8786"], "would run whatever anyone in its network sends it: give --tls"),
        (["fleet", "scheduler", "--tls", "/nonexistent"], "there is no ca.pem"),
    ],
)
def test_what_does_not_go_together_is_told_in_a_sentence(
    options: list[object], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from headroom.cli.main import run as run_here

    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    assert run_here([str(option) for option in options]) == 2
    assert says in capsys.readouterr().err


def test_a_machine_without_gpus_says_where_workers_may_be(database: Path) -> None:
    done = run("measure", MODEL, "--db", database, "--fleet", "local", bench=script(gpus=[]))
    assert done.returncode == 4
    assert "this machine shows no GPU; start workers elsewhere" in done.stderr


def test_a_worker_without_gpus_says_so_and_does_not_stand_idle() -> None:
    done = run("fleet", "worker", "127.0.0.1:9", bench=script(gpus=[]))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("headroom: this machine shows no GPU")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n"], ids=["silence", "another protocol"])
def test_somebody_else_at_the_address_is_gpu_trouble_and_not_waited_for(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headroom.errors import GpuError
    from headroom.measure.fleet import fleet

    monkeypatch.setattr(fleet, "CONNECT_S", 0.5)
    with socket.create_server((LOOPBACK, 0)) as there:

        def talk() -> None:
            with there.accept()[0] as wire:
                wire.sendall(answer)
                while wire.recv(4096):
                    pass

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(GpuError, match="no fleet's scheduler answers at tcp://"):
            fleet.Fleet(f"{LOOPBACK}:{there.getsockname()[1]}")


def test_credentials_that_are_none_and_a_protocol_that_does_not_fit_are_told(tmp_path: Path) -> None:
    from headroom.errors import UsageError
    from headroom.measure.fleet import fleet

    for name in CREDENTIALS:
        (tmp_path / name).write_text("junk")
    with pytest.raises(UsageError, match="these are no credentials in PEM"):
        fleet.Fleet("127.0.0.1:9", tls=tmp_path)
    with pytest.raises(UsageError, match="leave --tls out"):
        fleet.Fleet("tcp://127.0.0.1:9", tls=tmp_path)


def test_nobody_at_the_address_is_gpu_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    from headroom.errors import GpuError
    from headroom.measure.fleet import fleet

    monkeypatch.setattr(fleet, "CONNECT_S", 0.3)
    with pytest.raises(GpuError, match=r"no fleet's scheduler answers at tcp://127\.0\.0\.1:9: start one"):
        fleet.Fleet("127.0.0.1:9")


def test_a_worker_that_finds_no_scheduler_says_where_it_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    from headroom.errors import GpuError

    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    hands = Hands("tcp://127.0.0.1:9", [0])
    try:
        with pytest.raises(GpuError, match=r"not ready within .* see whether a scheduler is at tcp://127\.0\.0\.1:9"):
            hands.start(within_s=0.2)
    finally:
        hands.end()


def test_a_worker_that_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from headroom.errors import GpuError
    from headroom.measure.fleet import child

    monkeypatch.setattr(child, "MOST_DEATHS", 1)
    monkeypatch.setenv("HEADROOM_BENCH", "no bench")  # refused by every worker that starts
    hands = Hands("tcp://127.0.0.1:9", [0])
    try:
        with pytest.raises(GpuError, match="the fleet's worker cannot start: HEADROOM_BENCH is 'no bench'"):
            hands.start()
        with pytest.raises(GpuError, match="the fleet's worker on GPU 0 dies again and again"):
            until(lambda: hands.tend(), lambda _: False, "the end of patience")
    finally:
        hands.end()
    assert hands.pids == []


def test_everything_of_a_fleet_on_this_machine_listens_on_loopback_alone() -> None:
    scheduler = Child(role="scheduler", host=LOOPBACK, port=0, tls=None)
    try:
        scheduler.ready()
        assert {address for address, _ in _listening(scheduler.pid)} == {"0100007F"}
    finally:
        scheduler.end()
    assert not is_alive(scheduler.pid)


def _listening(pid: int) -> set[tuple[str, str]]:
    """Addresses, as the kernel writes them, and ports on which a process listens."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    bound = [line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]
    return {(address, port) for line in bound for address, _, port in [line[1].partition(":")]}


def test_dask_is_set_for_layers_that_kill_and_for_networks_that_are_cut() -> None:
    import dask.config

    distributed()
    assert dask.config.get("distributed.scheduler.allowed-failures") == 1
    assert dask.config.get("distributed.worker.daemon") is False
    assert dask.config.get("distributed.comm.timeouts.tcp") == SETTINGS["distributed"]["comm"]["timeouts"]["tcp"]


def test_a_card_names_the_machine_and_offers_its_system() -> None:
    card = Card(SYSTEM, 3, "GPU-1", 12)
    assert card.resource == f"headroom-{SYSTEM.id}"
    assert card.host in card.machine


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What docs/fleet.md tells to make, with keys that are quicker to make."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("credentials")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for words in (
        ["req", "-x509", *new_key, "-days", "2", "-subj", "/CN=fleet", "-keyout", "ca-key.pem", "-out", "ca.pem"],
        ["req", *new_key, "-subj", "/CN=member", "-keyout", "key.pem", "-out", "request.pem"],
        ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2",
         "-out", "cert.pem"],
    ):  # fmt: skip
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return folder


def test_with_credentials_only_who_has_them_gets_in(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headroom.errors import GpuError
    from headroom.measure.fleet import fleet

    monkeypatch.setenv("HEADROOM_BENCH", "fake")
    monkeypatch.setattr(fleet, "CONNECT_S", PATIENCE_S)
    scheduler = Child(role="scheduler", host=LOOPBACK, port=0, tls=str(credentials))
    try:
        address = str(scheduler.ready()["address"])
        assert address.startswith("tls://")
        hands = Hands(address, [0], seats=1, tls=credentials)
        try:
            hands.start()
            with fleet.Fleet(address, tls=credentials) as there:
                assert [kind.gpus for kind in there.kinds()] == [1]
        finally:
            hands.end()
        monkeypatch.setattr(fleet, "CONNECT_S", 1.0)
        with pytest.raises(GpuError, match="no fleet's scheduler answers at tcp://"):
            fleet.Fleet("tcp" + address.removeprefix("tls"))
    finally:
        scheduler.end()
