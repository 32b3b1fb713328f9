"""Which designs are asked for: a grid of settings, or designs by name.

A setting is a factor (``2``, ``"2"`` or ``"x2"``) on what the field would otherwise be, or a value (``"@112"``). The
tile is set the same way: a factor on its height and width, or a size (``"@256x128x8"``).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from headroom.errors import UsageError
from headroom.gpu.designs import Settings, field_values
from headroom.gpu.schema import FIELDS
from headroom.gpu.spec import GpuSpec
from headroom.text import plain_line

#: Most designs that one exploration looks at: their figures stay in memory together.
MOST_DESIGNS = 200_000

TILE = "tile"

#: Short names of fields.
ALIASES = {
    "clock": "clock_mhz", "dram_bw": "dram_peak_gbs", "l2_bw": "l2_bandwidth_gbs", "l1_bw": "l1_bandwidth_gbs",
    "shared_bw": "shared_bandwidth_gbs", "l2_size": "l2_bytes", "registers": "registers_per_sm",
    "shared_size": "shared_bytes_per_sm", "dram_latency": "dram_latency_ns", "l2_latency": "l2_latency_ns",
}  # fmt: skip

#: Names that stand for the rates of every data type.
GROUPS = {
    "flops": ("plain_tflops.", "tensor_tflops."),
    "plain_tflops": ("plain_tflops.",),
    "tensor_tflops": ("tensor_tflops.",),
}

#: A sheet states tensor rates, and the clock that they were given at only to derive them.
_NOT_VARIED = frozenset({"tensor_clock_mhz"})

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})(?:x(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Setting:
    """A factor, a value (``absolute``), or the size of a tile (``size``: m, n and k, 0 for the usual k)."""

    number: float
    absolute: bool = False
    size: tuple[int, int, int] | None = None

    @property
    def text(self) -> str:
        """As a user writes it: ``x2``, ``@112``, ``@128x64x8``."""
        if self.size is not None:
            return "@" + "x".join(str(part) for part in self.size if part)
        return f"{'@' if self.absolute else 'x'}{self.number:.10g}"


NEUTRAL = Setting(1.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that varies: the name it was given, the fields that it sets (none for the tile), its settings."""

    name: str
    fields: tuple[str, ...]
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Space:
    """The designs: ``choice`` of shape (D, axes) says which setting of each axis a design takes."""

    axes: tuple[Axis, ...]
    choice: NDArray[np.intp]
    given_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.choice)

    @cached_property
    def settings(self) -> dict[str, Settings]:
        """Per field, what every design does to it."""
        out: dict[str, Settings] = {}
        for axis, chosen in zip(self.axes, self.choice.T, strict=True):
            numbers = np.array([setting.number for setting in axis.settings])[chosen]
            absolute = np.array([setting.absolute for setting in axis.settings])[chosen]
            out.update(dict.fromkeys(axis.fields, Settings(numbers, absolute)))
        return out

    @cached_property
    def tiles(self) -> tuple[tuple[Setting, NDArray[np.intp]], ...]:
        """The designs of each setting of the tile."""
        for axis, chosen in zip(self.axes, self.choice.T, strict=True):
            if axis.name == TILE:
                parts = ((setting, np.flatnonzero(chosen == at)) for at, setting in enumerate(axis.settings))
                return tuple((setting, index) for setting, index in parts if len(index))
        return ((NEUTRAL, np.arange(len(self))),)

    def changes(self, design: int) -> dict[str, str]:
        """What one design changes, as a user writes it; factors of 1 are left out."""
        chosen = zip(self.axes, self.choice[design], strict=True)
        return {axis.name: axis.settings[at].text for axis, at in chosen if axis.settings[at] != NEUTRAL}

    def name(self, design: int) -> str:
        """The design's given name, else what it changes."""
        if self.given_names:
            return self.given_names[design]
        return ", ".join(f"{name} {text}" for name, text in self.changes(design).items()) or "unchanged"


def grid(vary: Mapping[str, Sequence[object]], gpu: GpuSpec) -> Space:
    """Every combination of the settings of ``vary``.

    Raises:
        UsageError: nothing varies, an unknown field, one without or with a wrong value, or too many designs.
    """
    if not vary:
        raise UsageError("nothing varies: give fields with their settings, for example sms=1,2,4")
    axes = tuple(_axis(name, settings, gpu) for name, settings in vary.items())
    _refuse_twice(axes)
    count = math.prod(len(axis.settings) for axis in axes)
    if count > MOST_DESIGNS:
        raise UsageError(f"{count} designs are more than {MOST_DESIGNS}: give fewer settings")
    choice = np.indices([len(axis.settings) for axis in axes]).reshape(len(axes), -1).T
    return Space(axes, choice.astype(np.intp))


def named(designs: Mapping[str, Mapping[str, object]], gpu: GpuSpec) -> Space:
    """Designs by name, each with one setting per field that it changes.

    Raises:
        UsageError: no design, an unknown field, or a wrong value; the sentence names the design.
    """
    if not designs:
        raise UsageError("there is no design: give each a name and the fields it changes")
    if len(designs) > MOST_DESIGNS:
        raise UsageError(f"{len(designs)} designs are more than {MOST_DESIGNS}: give fewer")
    settings: dict[str, dict[Setting, int]] = {}
    for name, changes in designs.items():
        try:
            own = [_axis(field, [value], gpu) for field, value in changes.items()]
            _refuse_twice(own)
        except UsageError as error:
            raise UsageError(f"design {plain_line(name, 60)!r}: {error}") from error
        for axis in own:
            known = settings.setdefault(axis.name, {NEUTRAL: 0})
            known.setdefault(axis.settings[0], len(known))
    axes = tuple(Axis(name, _fields(name, gpu), tuple(known)) for name, known in settings.items())
    _refuse_twice(axes)
    choice = [
        [settings[axis.name][_setting(axis.name, c[axis.name])] if axis.name in c else 0 for axis in axes]
        for c in designs.values()
    ]
    shape = (len(designs), len(axes))
    return Space(axes, np.array(choice, dtype=np.intp).reshape(shape), tuple(designs))


def parse_vary(text: str) -> tuple[str, tuple[str, ...]]:
    """``"sms=1,2,@112"`` as a name and its settings' texts.

    >>> parse_vary("sms=1,2,@112")
    ('sms', ('1', '2', '@112'))
    """
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise UsageError(f"--vary {plain_line(text, 60)!r}: expected FIELD=SETTING,…, for example --vary sms=1,2,4")
    return name.strip(), tuple(part.strip() for part in values.split(","))


def _axis(name: str, settings: Sequence[object], gpu: GpuSpec) -> Axis:
    fields = _fields(name, gpu)
    if isinstance(settings, str) or not isinstance(settings, Sequence | np.ndarray) or not len(settings):
        raise UsageError(f"{name} has no settings: give at least one, for example {name}=1,2")
    parsed = tuple(dict.fromkeys(_setting(name, setting) for setting in settings))
    if len(fields) > 1 and any(setting.absolute for setting in parsed):
        raise UsageError(f"{name} stands for several rates, which have no common value: name one, such as {fields[0]}")
    return Axis(name, fields, parsed)


def _fields(name: str, gpu: GpuSpec) -> tuple[str, ...]:
    if name == TILE:
        return ()
    if name in GROUPS:
        return tuple(field for field in field_values(gpu) if field.startswith(GROUPS[name]))
    field = ALIASES.get(name, name)
    if field in _NOT_VARIED:
        raise UsageError(f"{field} cannot vary: vary clock_mhz, or tensor_tflops")
    if field not in FIELDS:
        shown = plain_line(name, 60)
        nearest = difflib.get_close_matches(shown, [TILE, *ALIASES, *GROUPS, *FIELDS], n=1, cutoff=0.0)
        raise UsageError(f"unknown field '{shown}'; did you mean '{nearest[0]}'? headroom gpus show lists them")
    return (field,)


def _refuse_twice(axes: Sequence[Axis]) -> None:
    """Two axes that set one field would contradict each other."""
    owner: dict[str, str] = {}
    for axis in axes:
        for field in axis.fields:
            if field in owner:
                raise UsageError(f"{owner[field]} and {axis.name} both set {field}: give one of them")
            owner[field] = axis.name


def _setting(name: str, given: object) -> Setting:
    text = f"{given:.17g}" if isinstance(given, int | float | np.number) and not isinstance(given, bool) else given
    if not isinstance(text, str) or not text.strip():
        raise _wrong(name, given)
    text = text.strip().lower()
    absolute, digits = text.startswith("@"), text.removeprefix("@")
    if name == TILE and (size := _SIZE.fullmatch(digits)):
        m, n, k = (int(part or 0) for part in size.groups())
        if m and n:
            return Setting(1.0, True, (m, n, k))
    number = _number(digits if absolute else digits.removeprefix("x"))
    if number is None or (absolute and name == TILE):
        raise _wrong(name, given)
    return Setting(number, absolute)


def _number(text: str) -> float | None:
    """A positive finite number; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _wrong(name: str, given: object) -> UsageError:
    example = "2 (twice its height and width) or @256x128x8" if name == TILE else "2 or x2 (a factor) or @112 (a value)"
    shown = f"the text '{plain_line(given, 60)}'" if isinstance(given, str) else plain_line(repr(given), 60)
    return UsageError(f"{name} is set to {shown}; expected {example}")
