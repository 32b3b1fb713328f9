"""The libraries that can run a layer, one file each.

A backend's module has a function ``backend()`` that returns a :class:`~headroom.measure.bench.Backend` and raises
:class:`ImportError` or :class:`~headroom.errors.GpuError` where its library is missing or unusable. Adding one means
adding that file and a line here. Only the worker imports them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from headroom.errors import GpuError
from headroom.measure.bench import Backend

#: Modules of this package, each with the package that it cannot do without, in the order in which they are tried: what
#: is most often fastest comes first, so that a run cut short by its budget has the best of what it had time for.
MODULES = {
    "cudnn_graph": "cudnn",
    "cublaslt": "nvmath",
    "pytorch": "torch",
    "inductor": "triton",
    "cudnn_legacy": "torch",  # whose CUDA build brings the library
}


@dataclass(frozen=True, slots=True)
class Registered:
    """The backends that this machine has, and for each other module the reason why it is left out."""

    backends: tuple[Backend, ...]
    missing: dict[str, str]


def load(modules: Iterable[str] = MODULES) -> Registered:
    """Import the backends one by one; one whose library is missing costs only itself."""
    backends: list[Backend] = []
    missing: dict[str, str] = {}
    for module in modules:
        try:
            backends.append(import_module(f"{__name__}.{module}").backend())
        except (ImportError, OSError, GpuError) as error:
            missing[module] = f"{type(error).__name__}: {error}"
    return Registered(tuple(backends), missing)


def not_installed() -> frozenset[str]:
    """Names of the modules whose package is not there; nothing is imported to find out."""
    return frozenset(module for module, package in MODULES.items() if find_spec(package) is None)
