"""The logs of NVIDIA's own libraries, which ``headroom profile --logs`` keeps: what functions were called, with what.

cuDNN and cuBLAS write a head line per call and a line per parameter, indented under what it belongs to; cuBLASLt
writes a line per call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headroom.errors import ProfileError
from headroom.measure.profiles.profile_file import read_bytes

_HEAD = re.compile(r"[IWE]! (CuDNN|cuBLAS) \([^)]{0,40}\) function (?:\w{1,80} )?(\w{1,120})\(")
_PARAMETER = re.compile(r"i!( {2,80})([^:]{0,120}): type=([^;:]{0,120})(?:; val=(.{0,400}?))?[;:]?\s*$")
_LINE = re.compile(r"(?:\[[^\]]{0,40}\])?\[cublasLt\]\[\d{1,20}\]\[(\w{1,20})\]\[(\w{1,120})\] (.*)")
_PAIR = re.compile(r"(\w{1,80})=(?:\[([^\]]{0,2000})\]|(\S{1,400}))")

#: What cuBLASLt calls lines that tell of a call; others are errors and hints.
_CALLS = frozenset({"Api", "Trace"})

#: No call has more; damage may.
_MOST_PARAMETERS = 2000


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a function was given. ``name`` is the path from the outermost descriptor: ``descriptor.dimA``."""

    name: str
    type: str
    value: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The whole numbers in a value such as ``[1152,3,14,14]`` or ``64``; none in any other."""
        texts = self.value.removeprefix("[").removesuffix("]").split(",")
        return tuple(int(text) for text in texts) if all(re.fullmatch(r"-?\d{1,19}", text) for text in texts) else ()


@dataclass(frozen=True, slots=True)
class LibraryCall:
    """A call of ``cudnn``, ``cublas`` or ``cublaslt``, as the library itself wrote it down."""

    library: str
    function: str
    parameters: tuple[Parameter, ...]

    def __getitem__(self, name: str) -> Parameter:
        """The first parameter of this name.

        Raises:
            KeyError: there is none.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)


def read_library_log(path: Path) -> tuple[LibraryCall, ...]:
    """The calls in a log, in their order.

    Raises:
        ProfileError: it cannot be read, or no library wrote it.
    """
    calls = tuple(_calls(read_bytes(path).decode("utf-8", errors="replace")))
    if not calls:
        raise ProfileError(f"{path} tells of no call of cuDNN or cuBLAS; give a file that headroom profile --logs kept")
    return calls


def _calls(text: str) -> Iterator[LibraryCall]:
    head: tuple[str, str] | None = None
    lines: list[str] = []
    for line in text.splitlines():
        begins = _HEAD.match(line)
        flat = None if begins else _LINE.match(line)
        if begins or flat:
            yield from _call(head, lines)
            head, lines = (begins[1].lower(), begins[2]) if begins else None, []
        if flat and flat[1] in _CALLS:
            yield LibraryCall("cublaslt", flat[2], tuple(_pairs(flat[3]))[:_MOST_PARAMETERS])
        elif head and len(lines) < _MOST_PARAMETERS:
            lines.append(line)
    yield from _call(head, lines)


def _call(head: tuple[str, str] | None, lines: list[str]) -> Iterator[LibraryCall]:
    """The call of a head line and what follows it. cuDNN 9 writes a second one when the function returns: no call."""
    if head is not None:
        parameters = tuple(_parameters(lines))
        if [(each.name, each.type) for each in parameters] != [("status", "cudnnStatus_t")]:
            yield LibraryCall(*head, parameters)


def _parameters(lines: list[str]) -> Iterator[Parameter]:
    around: list[tuple[int, str]] = []
    for line in lines:
        found = _PARAMETER.match(line)
        if found is None:
            continue
        indent, name = len(found[1]), found[2].strip()
        while around and around[-1][0] >= indent:
            around.pop()
        path = f"{around[-1][1]}.{name}" if around else name
        around.append((indent, path))
        yield Parameter(path, found[3], found[4] or "")


def _pairs(text: str) -> Iterator[Parameter]:
    for name, group, value in _PAIR.findall(text):
        if group:
            yield from (Parameter(f"{name}.{inner}", "", plain) for inner, _, plain in _PAIR.findall(group))
        else:
            yield Parameter(name, "", value)
