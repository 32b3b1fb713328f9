"""What the GPU that is not there is told to be. For tests only.

The fake is used where ``HEADROOM_BENCH`` is ``fake`` or ``fake:{…}`` with a JSON object of these fields, all optional:

* ``plans``: implementations per layout (6), ``plan_s``: seconds that each takes on the GPU, ``build_s``: seconds that
  compiling it takes, ``start_s``: seconds to start;
* ``libraries``: a word for the versions of its libraries, so that it can become another system;
* ``fail``: a list of ``{"how": …, "plan": K, "chain": TEXT}``: implementation ``K`` (without ``plan``, the operands)
  of every chain whose title holds ``TEXT`` fails in that way: ``build``, ``run``, ``unsupported``, ``oom``,
  ``poison``, ``abort``, ``exit``, ``hang``, ``garbage``, ``flood``, ``wrong``, ``nan``, ``throttled``, ``unstable``,
  ``unknown-bit``;
* ``start``: ``refuse``, ``exit`` or ``hang``: how the worker fails before it is ready; ``broken``: only these GPUs,
  by index, where it names some;
* ``gpus``: the name of each GPU, in their order; all are ``Fake GPU`` by default, and there are eight;
* ``processes``: ``[[pid, name], …]`` and ``utilization``: percent, what the driver says of the GPU's other users;
* ``turns``: the folder of the file by which workers take turns, where several share the fake;
* ``missing``: libraries that are left out, with the reason.

Its systems are called ``Fake GPU``, or what ``gpus`` names them, which should be no real one's name.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field

from headroom.errors import UsageError
from headroom.measure.bench import Facts
from headroom.measure.task import Task
from headroom.store.rows import System

#: Names the bench that the worker opens, where it is not the real one.
VARIABLE = "HEADROOM_BENCH"

GIB = 1 << 30
CLOCK_MHZ = 1980.0

#: The machine's GPUs, unless the script names others.
EIGHT = ("Fake GPU",) * 8


@dataclass(frozen=True)
class Fault:
    """One failure on command."""

    how: str
    plan: int | None = None
    chain: str = ""


@dataclass(frozen=True)
class Script:
    """What the fake is told to be; see the module's text."""

    plans: int = 6
    plan_s: float = 0.0
    build_s: float = 0.0
    start_s: float = 0.0
    libraries: str = "1"
    fail: tuple[Fault, ...] = ()
    start: str = ""
    processes: tuple[tuple[int, str], ...] = ()
    utilization: int = 0
    turns: str = ""
    missing: dict[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = EIGHT
    broken: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Script:
        """The script in ``fake`` or ``fake:{…}``.

        Raises:
            UsageError: it is no JSON object of the fields above.
        """
        try:
            data = json.loads(text.partition(":")[2] or "{}")
            fail = tuple(Fault(**fault) for fault in data.pop("fail", ()))
            processes = tuple((int(pid), str(name)) for pid, name in data.pop("processes", ()))
            gpus = tuple(str(name) for name in data.pop("gpus", EIGHT))
            broken = tuple(int(gpu) for gpu in data.pop("broken", ()))
            return cls(**data, fail=fail, processes=processes, gpus=gpus, broken=broken)
        except (TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"HEADROOM_BENCH is {text!r}, no script for the fake GPU: {error}") from error

    def start_of(self, gpu: int) -> str:
        """How a worker on GPU ``gpu`` fails before it is ready; empty where it does not."""
        return self.start if not self.broken or gpu in self.broken else ""

    def gpu_name(self, index: int) -> str:
        """What GPU ``index`` is called; one that is asked for beyond the last is like the first."""
        return self.gpus[index if index < len(self.gpus) else 0]

    def fault(self, task: Task, plan: int | None) -> str:
        """How implementation ``plan`` of a chain fails; empty where it does not."""
        return next((f.how for f in self.fail if f.plan == plan and f.chain in task.chain.title), "")


def script_in_use() -> Script | None:
    """The fake that the environment asks for, or ``None`` where the real GPU is meant.

    Raises:
        UsageError: it asks for something else.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    if text != "fake" and not text.startswith("fake:"):
        raise UsageError(f"{VARIABLE} is {text!r}; expected fake, fake:{{…}}, or no such variable")
    return Script.parse(text)


def fake_facts(script: Script, gpu_index: int = 0) -> Facts:
    """What the fake says of itself."""
    version = f"fake {script.libraries}"
    system = System(
        gpu=script.gpu_name(gpu_index), driver=version, cuda=version, cudnn=version, cublas=version, torch=""
    )
    digest = hashlib.sha256(f"fake {gpu_index}".encode()).hexdigest()[:12]
    return Facts(system, f"FAKE-{digest}", gpu_index, 141 * GIB, 130 * GIB, CLOCK_MHZ, tuple(script.missing))
