"""The ways a framework can be asked to run a whole network."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from headroom.errors import UsageError

#: Runtimes beside PyTorch, by the package that has to be installed.
RUNTIMES = ("onnxruntime", "tensorrt")

#: What follows ``compile`` in a mode's name: torch.compile's own modes.
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune")

_CHANNELS_LAST = "channels-last"


@dataclass(frozen=True)
class Mode:
    """One way to run a network.

    ``runtime`` is ``torch`` or one of :data:`RUNTIMES`; ``compile`` is torch.compile's mode, or empty where the
    module runs eagerly; ``captured`` says that the eager run is replayed as one CUDA graph.
    """

    name: str
    runtime: str = "torch"
    channels_last: bool = False
    captured: bool = False
    compile: str = ""


def _spelled(layout: str, way: str) -> str:
    """``channels-last`` alone is the eager run; beside another way it stands in front."""
    if not layout:
        return way
    return layout if way == "eager" else f"{layout} {way}"


def _torch_modes() -> dict[str, Mode]:
    modes = {}
    for layout in ("", _CHANNELS_LAST):
        ways = {"eager": "", "cuda-graph": ""} | {
            "compile" if mode == "default" else f"compile {mode}": mode for mode in COMPILE_MODES
        }
        for way, compiled in ways.items():
            name = _spelled(layout, way)
            modes[name] = Mode(name, channels_last=bool(layout), captured=way == "cuda-graph", compile=compiled)
    return modes


#: Every mode by its name.
MODES: dict[str, Mode] = _torch_modes() | {name: Mode(name, runtime=name) for name in RUNTIMES}

#: What is measured when nothing is asked for. Autotuning takes minutes per network and has to be asked for.
_USUAL = (
    "eager", "cuda-graph", "channels-last", "channels-last cuda-graph",
    "compile", "compile reduce-overhead", "channels-last compile reduce-overhead",
)  # fmt: skip


def usual_modes() -> tuple[str, ...]:
    """The modes measured by default: PyTorch's, and those of the other runtimes that are installed."""
    return (*_USUAL, *(name for name in RUNTIMES if importlib.util.find_spec(name) is not None))


def find_mode(name: str) -> Mode:
    """The mode called ``name``.

    Raises:
        UsageError: there is none.
    """
    mode = MODES.get(name)
    if mode is None:
        raise UsageError(f"{name!r} is no way to run a network; choose from {', '.join(MODES)}")
    return mode


def in_running_order(names: tuple[str, ...]) -> tuple[Mode, ...]:
    """The modes called ``names``, each once, in an order that converts the module's weights only once.

    Raises:
        UsageError: a name is unknown.
    """
    modes = [find_mode(name) for name in dict.fromkeys(names)]
    return tuple(sorted(modes, key=lambda mode: mode.channels_last))
