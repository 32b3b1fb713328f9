"""What the GPUs of one compute capability share, read from ``architectures/``.

Per SM and per clock, so that a rule can multiply it by a sheet's SM count and clock:

* ``limits``: what one SM and one CTA may hold, under the names of :class:`~headroom.gpu.spec.GpuSpec`;
* ``plain``, ``tensor``: dense flops per clock per SM per data type (a multiply-add is two), tensor cores
  accumulating in fp32 on boards where that is not slowed down;
* ``l1``: ``bytes_per_sm``, ``bytes_per_clock`` per SM, ``latency_cycles``;
* ``l2``: ``bytes_per_clock_per_sm`` that all SMs together draw, ``latency_cycles``;
* ``shared``: ``bytes_per_clock`` per SM, ``latency_cycles``.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_FOLDER = files("headroom.gpu") / "architectures"
_GROUPS = ("limits", "plain", "tensor", "l1", "l2", "shared")


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shared figures of one compute capability; ``sources`` says per group where they come from."""

    compute_capability: str
    name: str
    limits: Mapping[str, float]
    plain: Mapping[str, float]
    tensor: Mapping[str, float]
    l1: Mapping[str, float]
    l2: Mapping[str, float]
    shared: Mapping[str, float]
    sources: Mapping[str, str]


@functools.cache
def known_capabilities() -> tuple[str, ...]:
    """The compute capabilities with an architecture file, oldest first."""
    names = [entry.name.removesuffix(".toml") for entry in _FOLDER.iterdir() if entry.name.endswith(".toml")]
    return tuple(sorted(names, key=lambda name: tuple(int(part) for part in name.split("."))))


@functools.cache
def load_architecture(compute_capability: str) -> Architecture | None:
    """The architecture of a compute capability such as ``"9.0"``; None for one that has no file."""
    if compute_capability not in known_capabilities():
        return None
    raw = tomllib.loads((_FOLDER / f"{compute_capability}.toml").read_text("utf-8"))
    groups = {group: dict(raw.get(group, {})) for group in _GROUPS}
    sources = {group: table.pop("source") for group, table in groups.items() if table}
    return Architecture(compute_capability, raw["name"], **groups, sources=sources)
