"""A worker whose reader misbehaves on purpose, once it is given a file."""

from __future__ import annotations

from headroom.graph.onnx.client import worker_command

_PROGRAM = """
import sys; sys.path += sys.argv[1:]
import ctypes, json, os, resource, stat, time
import headroom.graph.onnx.worker as worker

def say(content):
    # Write to the pipe that answers travel through: the only one that is open.
    pipes = [n for n in range(3, 64) if is_pipe(n)]
    os.write(pipes[0], content)

def is_pipe(descriptor):
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False

def misbehave(model, name, batch, dims):
{body}

honest = worker.build_graph
def build_graph(model, *, name, batch, dims):
    if name == "small":  # the worker warms up with a model without a name
        misbehave(model, name, batch, dims)
    return honest(model, name=name, batch=batch, dims=dims)
worker.build_graph = build_graph
worker.main()
"""


_AUDIT = """
import sys; sys.path += sys.argv[1:]
import os
import headroom.graph.onnx.worker as worker

read = worker._read
def audited(request, seal):
    events = set()
    def hook(event, details):
        is_model = event == "open" and details[0] == request["path"]
        if not is_model and event != "resource.setrlimit":
            events.add(event)
    sys.addaudithook(hook)
    answer = read(request, seal)
    {statement}
    if events:
        raise worker.ModelError("events: " + " ".join(sorted(events)))
    return answer
worker._read = audited
worker.main()
"""


def command_with_fault(*statements: str) -> list[str]:
    """How to start a worker that runs these statements between parsing ``small.onnx`` and understanding it."""
    return _command(_PROGRAM.format(body="\n".join(f"    {line}" for line in statements)))


def command_with_audit(statement: str = "") -> list[str]:
    """How to start a worker that refuses a file when reading it raised any audit event of Python's.

    Opening the file itself and sealing are not counted; ``statement`` runs after the reading, still under audit.
    """
    return _command(_AUDIT.format(statement=statement or "pass"))


def _command(program: str) -> list[str]:
    start = worker_command()
    start[start.index("-c") + 1] = program
    return start
