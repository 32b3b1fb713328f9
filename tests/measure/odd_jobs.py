"""Jobs that behave in every way a job can; they run in the worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from headroom.errors import ModelError
from headroom.measure.jobs import Json, Say


def chatter(arguments: Json, say: Say) -> Json:
    """Print wherever libraries print, and answer nevertheless."""
    print("hello from Python")
    os.write(1, b"hello from C\n")
    subprocess.run([sys.executable, "-c", "print('hello from a child')"], check=True)
    for step in range(3):
        say({"step": step})
    return {"echo": arguments}


def fail(arguments: Json, say: Say) -> Json:
    raise {"model": ModelError, "value": ValueError}[arguments["how"]]("node 'conv1' cannot be read")


def hang(arguments: Json, say: Say) -> Json:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    say({"child": child.pid})
    time.sleep(1000)
    return {}


def die(arguments: Json, say: Say) -> Json:
    os.abort()


def unspeakable(arguments: Json, say: Say) -> Any:
    return {"result": object()}
