"""Which measured implementation a layer was run by: the one whose kernels are those that the profile shows.

Profilers write names readable, the driver mangled; both are cut down to the function's own name. With the launch grid
beside it, that tells plans apart that share a kernel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from headroom.measure.profiles.profile import Launch
from headroom.store.rows import Timing

#: Templates whose argument is the kernel.
_WRAPPERS = frozenset({"Kernel", "Kernel2", "device_kernel"})

#: ``bias`` and the order of each operand at the end of cuBLASLt's names.
_ORDER = re.compile(r"(?:_bias)?_[NT]{3}$")

NO_GRID = (0, 0, 0)

_READABLE = re.compile(r"[A-Za-z_]\w*")


@cache
def own_name(name: str) -> str:
    """A kernel's own name, without namespaces, arguments and what wraps it.

    >>> own_name("void cutlass::Kernel2<cutlass_80_gemm_64x64>(cutlass_80_gemm_64x64::Params)")
    'cutlass_80_gemm_64x64'
    >>> own_name("_ZN7cutlass7Kernel2I21cutlass_80_gemm_64x64EEvNT_6ParamsE")
    'cutlass_80_gemm_64x64'
    """
    return _mangled(name) if name.startswith("_Z") else _readable(name)


def implementation_of(launches: Sequence[Launch], rows: Sequence[Timing]) -> Timing | None:
    """The row whose kernels are ``launches``' in any order: with equal grids, else by name alone; the fastest such.

    Fills do not count: libraries clear memory by a kernel or without one.
    """
    ran = sorted((_of_product(own_name(each.name)), each.grid or NO_GRID) for each in launches if not _fills(each.name))
    if not ran:
        return None
    placed = [
        (sorted((_of_product(own_name(k.name)), k.grid) for k in row.kernels if not _fills(k.name)), row)
        for row in rows
    ]
    exact = (row for kernels, row in placed if kernels == ran)
    alike = (row for kernels, row in placed if [name for name, _ in kernels] == [name for name, _ in ran])
    return next(exact, None) or next(alike, None)


def _kernels(row: Timing) -> list[tuple[str, tuple[int, int, int]]]:
    return sorted((_of_product(own_name(each.name)), each.grid) for each in row.kernels if not _fills(each.name))


def _fills(name: str) -> bool:
    return name.lower().startswith("memset")


def _of_product(name: str) -> str:
    """Names that end in the operands' order: a product's weight lies as its framework keeps it."""
    return _ORDER.sub("", name)


def _readable(name: str) -> str:
    plain = name.replace("(anonymous namespace)::", "")
    plain = plain.partition("(")[0] if "<" not in plain else plain
    outer, _, arguments = plain.partition("<")
    words = _READABLE.findall(outer)
    last = words[-1] if words else plain
    if last in _WRAPPERS:
        inner = _READABLE.search(arguments)
        return inner[0] if inner else last
    # `std::enable_if<!(false), void>::type internal::gemvx::kernel<…>`: what stands before the name is its result.
    if last == "enable_if":
        rest = plain.partition("type ")[2].partition("<")[0]
        return rest.rpartition("::")[2] or last
    return last


def _mangled(name: str) -> str:
    place = 3 if name.startswith("_ZN") else 2
    words: list[str] = []
    while place < len(name):
        word, place = _identifier(name, place)
        if not word:
            break
        words.append(word)
    if words and words[-1] in _WRAPPERS and name[place : place + 1] == "I":
        inner, _ = _identifier(name, place + 1)
        return inner or words[-1]
    return words[-1] if words else name


def _identifier(name: str, place: int) -> tuple[str, int]:
    """The identifier that begins at ``place`` (its length in digits, then itself), and where it ends."""
    stop = place
    while stop < len(name) and name[stop].isdigit():
        stop += 1
    if stop == place:
        return "", place
    end = stop + int(name[place:stop])
    return name[stop:end], end
