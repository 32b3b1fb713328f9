"""The kernels behind a measured time, with names that a person can read, and those that only turn a layout round."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from headroom.advise.analysis import LayerAnswer
from headroom.store.rows import Kernel
from headroom.text import clean

#: What libraries call a kernel that rewrites a tensor from one order of its dimensions into another:
#: ``nchwToNhwcKernel``, ``kcrsToKrsc``, ``genericTranspose_kernel``, ``tensorTransformGeneric``.
_TURNS = re.compile(
    r"[nk][chwrs]{3}_?(to|2)_?(folded)?_?[nk][chwrs]{3}|transpose[a-z_]{0,20}kernel|tensorTransform", re.IGNORECASE
)

#: Wrappers whose own name says nothing: what they run is their first template argument.
_WRAPPERS = frozenset({"Kernel", "Kernel2"})

_LENGTH = re.compile(r"\d{1,4}")


def launched(answer: LayerAnswer) -> tuple[Kernel, ...]:
    """What the implementation behind a measured time launches, in order."""
    return answer.timing.kernels if answer.is_measured and answer.timing is not None else ()


def kernel_dicts(answer: LayerAnswer) -> list[dict[str, Any]]:
    """The same for the JSON answer."""
    return [
        {
            "name": clean(kernel.name),
            "grid": list(kernel.grid),
            "block": list(kernel.block),
            "transposes_layout": transposes(kernel.name),
        }
        for kernel in launched(answer)
    ]


@cache
def transposes(name: str) -> bool:
    """Whether a kernel of this name computes nothing, and puts a tensor into another layout."""
    return _TURNS.search(name) is not None


@cache
def short_name(name: str) -> str:
    """A mangled C++ name without namespaces and arguments, ``nchwToNhwcKernel``; any other as it is."""
    if not name.startswith("_Z"):
        return name
    found = name
    for found, ends in _words(name.removeprefix("_Z").removeprefix("N")):
        if ends and found not in _WRAPPERS:
            break
    return found or name


def _words(mangled: str) -> Iterator[tuple[str, bool]]:
    """The identifiers of a mangled name, each with whether it ends the name of a function or type."""
    at = 0
    while length := _LENGTH.match(mangled, at):
        end = length.end() + int(length[0])
        following = mangled[end : end + 1]
        yield mangled[length.end() : end], not following.isdigit()
        at = end + (following == "I")
