"""The child process that reads strangers' model files, so that whatever they do is done to it.

It is started by :mod:`headroom.graph.onnx.client`, imports the ONNX library once, and serves one request per
line of standard input. Where ``fork`` exists each file is read in a process of its own, forked from this warm
one, sealed (see :func:`_seal`) and killed at its time limit. Elsewhere the file is read right here, once, and
the caller starts the next worker.

An answer is a line of JSON, ``{"ending": …, "bytes": N, "serves_more": …}``, and then N bytes of JSON from the
process that read the file: ``{"graph": …}`` or ``{"error": sentence, "details": text}``. ``ending`` is
``"answered"``, or how the reading process died: ``"signal 6"``, ``"exit 1"``, ``"time"``, ``"size"``.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import stat
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import onnx
from google.protobuf.message import DecodeError

from headroom.errors import ModelError
from headroom.graph.onnx import limits
from headroom.graph.onnx.checks import check_model
from headroom.graph.onnx.outcome import check_graph
from headroom.graph.onnx.read import build_graph
from headroom.graph.onnx.wire import read_skeleton
from headroom.graph.serial import graph_to_json, prepare
from headroom.text import plain_line

try:
    import resource
except ImportError:  # Windows: the time limit still holds, the other caps do not exist there
    resource = None  # type: ignore[assignment]

Request = dict[str, Any]

#: How long a process that closed its answer may take to end by itself, so that its exit status is seen.
_EXIT_PATIENCE_S = 1.0

_PIPE_BYTES = 1 << 16


def main() -> None:
    """Serve requests until standard input ends."""
    _warm_up()
    # What the imports left is never collected: looking at it would make each fork copy it.
    gc.collect()
    gc.freeze()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    for line in iter(requests.readline, b""):
        request = json.loads(line)
        if hasattr(os, "fork"):
            ending, answer = _read_in_fork(request)
        else:
            ending, answer = "answered", _answer(request, seal=lambda: None)
        header = {"ending": ending, "bytes": len(answer), "serves_more": hasattr(os, "fork")}
        answers.write(json.dumps(header).encode() + b"\n" + answer)
        answers.flush()
        if not hasattr(os, "fork"):
            return


def _warm_up() -> None:
    """Read a model of our own, so that what is loaded or built on first use is there before any fork."""
    model = onnx.ModelProto(ir_version=onnx.IR_VERSION)
    model.opset_import.add(version=onnx.defs.onnx_opset_version())
    tensor = model.graph.input.add(name="x").type.tensor_type
    tensor.elem_type = onnx.TensorProto.FLOAT
    tensor.shape.dim.add(dim_value=1)
    model.graph.node.add(op_type="Relu", input=["x"], output=["y"])
    model.graph.output.add(name="y")
    prepare()
    json.dumps(_understand(model, name="", batch=None, dims={}))


def _read_in_fork(request: Request) -> tuple[str, bytes]:
    """Read the file in a child of this process: how that ended, and its answer."""
    receiving, sending = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(receiving)
        _run_child(request, sending)
    os.close(sending)
    ending, answer = _receive(receiving, time.monotonic() + request["time_limit_s"])
    os.close(receiving)
    status = _reap(process, _EXIT_PATIENCE_S if ending == "answered" else 0.0)
    if ending == "answered" and status != 0:
        # waitstatus_to_exitcode gives the negated number of the signal that ended it.
        code = os.waitstatus_to_exitcode(status)
        return (f"signal {-code}" if code < 0 else f"exit {code}"), b""
    return ending, answer


def _receive(pipe: int, deadline: float) -> tuple[str, bytes]:
    """What the child writes until it closes ``pipe``."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    poll.register(sys.stdin.fileno(), 0)  # reports only that our caller is gone
    parts: list[bytes] = []
    total = 0
    while True:
        ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
        if not ready:
            return "time", b""
        if sys.stdin.fileno() in ready:
            return "abandoned", b""
        part = os.read(pipe, _PIPE_BYTES)
        if not part:
            return "answered", b"".join(parts)
        parts.append(part)
        total += len(part)
        if total > limits.ANSWER_BYTES:
            return "size", b""


def _reap(process: int, patience_s: float) -> int:
    """The wait status of a child that has nothing more to say; one that lives on is killed."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.0005)
    os.kill(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def _run_child(request: Request, sending: int) -> NoReturn:
    """Answer the request through ``sending`` and end, whatever happens."""
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for inherited in (0, 1, 2):  # neither the caller's requests nor its answers are this process's business
            os.dup2(nowhere, inherited)
        os.close(nowhere)
        answer = _answer(request, seal=lambda: _seal(request))
        while answer:
            answer = answer[os.write(sending, answer) :]
        status = 0
    finally:
        os._exit(status)


def _seal(request: Request) -> None:
    """Give up, for good, what reading an open file does not need: other files, processes, memory, time."""
    if resource is None:
        return
    seconds = int(request["time_limit_s"]) + 1
    for name, value in (
        ("RLIMIT_AS", request["memory_bytes"]),
        ("RLIMIT_CPU", seconds),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_NOFILE", 0),
        ("RLIMIT_NPROC", 0),
    ):
        number = getattr(resource, name, None)
        if number is None:
            continue  # this system has no such limit
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS below what is mapped already
            resource.setrlimit(number, (value, value))


def _answer(request: Request, seal: Callable[[], None]) -> bytes:
    """The JSON that answers ``request``: a graph, or one sentence that says why not."""
    try:
        return json.dumps({"graph": _read(request, seal)}).encode()
    except Exception as error:  # noqa: BLE001 - a stranger's file may provoke anything; all of it is reported
        sentence = plain_line(_sentence(error, request), limits.SENTENCE_CHARACTERS)
        details = "".join(traceback.format_exception(error))
        return json.dumps({"error": sentence, "details": details}).encode()


def _sentence(error: Exception, request: Request) -> str:
    """What went wrong, in the user's words."""
    match error:
        case ModelError():
            return str(error)
        case OSError(strerror=str(reason)):
            return reason.lower()
        case DecodeError():
            return "it is not an ONNX model, or it is damaged (protobuf cannot parse it)"
        case MemoryError():
            return f"reading it takes more than {request['memory_bytes'] // limits.MIB} MiB of memory"
        case RecursionError():
            return "its structure is nested too deep to be followed"
    return f"the reader stumbled over it: {type(error).__name__}: {error}"


def _read(request: Request, seal: Callable[[], None]) -> Any:
    """The graph in the requested file, as JSON values."""
    descriptor, size = _open_file(request["path"])
    try:
        seal()
        skeleton = read_skeleton(descriptor, size)
    finally:
        os.close(descriptor)
    model = onnx.ModelProto()
    model.ParseFromString(skeleton)
    del skeleton
    return _understand(model, request["name"], request["batch"], request["dims"])


def _understand(model: onnx.ModelProto, name: str, batch: int | None, dims: dict[str, int]) -> Any:
    """The graph in a parsed model, as JSON values."""
    check_model(model)
    graph = build_graph(model, name=name, batch=batch, dims=dims)
    check_graph(graph)
    return graph_to_json(graph)


def _open_file(path: str) -> tuple[int, int]:
    """A descriptor of the regular file at ``path``, and its size. Opening never waits, as a FIFO would."""
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        # Looked at before it is opened: opening a device may already do something.
        _expect_regular(Path(path).stat())
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise ModelError("no such file") from None
    except ValueError as error:
        raise ModelError(f"not a file name ({error})") from None
    status = os.fstat(descriptor)
    _expect_regular(status)  # it may have been exchanged in between
    return descriptor, status.st_size


def _expect_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise ModelError(f"it is {kind}, not a file")
