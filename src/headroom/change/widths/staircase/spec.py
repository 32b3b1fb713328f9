"""A convolution without a model, in words: ``c=512,h=64,w=64,k=64:512,r=3,s=3,n=1``."""

from __future__ import annotations

from dataclasses import dataclass

from headroom.errors import UsageError
from headroom.graph.layer import Layer
from headroom.graph.tensor import TensorSpec
from headroom.graph.work import Convolution
from headroom.predict.table_input import MOST_MACS
from headroom.text import plain_line, whole_number

EXAMPLE = "c=512,h=64,w=64,k=64:512,r=3,s=3,n=1"

_NEEDED = ("c", "h", "w", "k")
_DEFAULTS = {"n": 1, "r": 3, "s": 3, "stride": 1, "dilation": 1, "groups": 1}
_LARGEST = 2**31 - 1

#: Widths of one staircase: twice as many as the widest layers in use have tiles of 8.
MOST_WIDTHS = 4096


@dataclass(frozen=True, slots=True)
class Range:
    """Widths ``first`` to ``last``, ``step`` apart; a step of ``None`` leaves it to the data type."""

    first: int
    last: int
    step: int | None = None

    @classmethod
    def parse(cls, text: str, what: str) -> Range:
        """``64``, ``64:512`` or ``64:512:8``.

        Raises:
            UsageError: it is none of these.
        """
        parts = text.split(":")
        if not 1 <= len(parts) <= 3 or not all(_is_size(part) for part in parts):
            shown = plain_line(text, 60)
            raise UsageError(f"{what} '{shown}': expected a width or FROM:TO or FROM:TO:STEP, for example 64:512:8")
        first, last = int(parts[0]), int(parts[min(1, len(parts) - 1)])
        if last < first:
            raise UsageError(f"{what} {text!r} ends before it begins: expected FROM:TO with FROM at most TO")
        return cls(first, last, int(parts[2]) if len(parts) == 3 else None)

    def widths(self, step: int = 1) -> tuple[int, ...]:
        """Both ends, and between them the multiples of ``step``; of a step of its own, counted from the first.

        Raises:
            UsageError: there are more than :data:`MOST_WIDTHS`.
        """
        start = self.first if self.step else -(-self.first // step) * step
        between = range(start, self.last + 1, self.step or step)
        if len(between) > MOST_WIDTHS:
            raise UsageError(
                f"{self.first}:{self.last} are {len(between):,} widths, more than {MOST_WIDTHS:,}: take a larger step, "
                f"as in {self.first}:{self.last}:{-(-(self.last - self.first) // MOST_WIDTHS)}"
            )
        return tuple(sorted({self.first, self.last, *between}))


@dataclass(frozen=True)
class ConvSpec:
    """A convolution whose widths are ranges. ``layer`` is the widest of them."""

    layer: Layer
    out: Range
    into: Range


def parse_conv(text: str) -> ConvSpec:
    """The convolution that ``text`` describes: input and output channels ``c`` and ``k`` (a width or a range), size
    ``h`` x ``w``, filter ``r`` x ``s`` (3x3), batch ``n`` (1), ``stride`` (1), ``padding`` (half the filter),
    ``dilation`` (1), ``groups`` (1; ``groups=c`` is depthwise, whose widths are those of ``k``).

    Raises:
        UsageError: something is missing, unknown, or does not go together.
    """
    fields = _fields(text)
    into, out = (Range.parse(fields.pop(name), f"--conv {name}") for name in ("c", "k"))
    if fields.get("groups") == "c":
        into, fields["groups"] = out, str(out.last)
    padding = _size("padding", fields.pop("padding"), least=0) if "padding" in fields else None
    sizes = {**_DEFAULTS, **{name: _size(name, value) for name, value in fields.items()}}
    return ConvSpec(_layer(sizes, into.last, out.last, padding), out, into)


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    known = (*_NEEDED, *_DEFAULTS, "padding")
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in known:
            shown = plain_line(part, 60)
            raise UsageError(f"--conv: '{shown}' is none of {', '.join(known)} with a value; for example {EXAMPLE}")
        if name in fields:
            raise UsageError(f"--conv gives {name} twice; give it once")
        fields[name] = value
    if missing := [name for name in _NEEDED if name not in fields]:
        raise UsageError(f"--conv lacks {', '.join(missing)}; for example {EXAMPLE}")
    return fields


def _layer(sizes: dict[str, int], in_width: int, out_width: int, padding: int | None) -> Layer:
    kernel = (sizes["r"], sizes["s"])
    edges = tuple((sizes["dilation"] * (taps - 1) // 2 if padding is None else padding,) * 2 for taps in kernel)
    in_size = (sizes["h"], sizes["w"])
    out_size = tuple(
        (size + sum(edge) - sizes["dilation"] * (taps - 1) - 1) // sizes["stride"] + 1
        for size, taps, edge in zip(in_size, kernel, edges, strict=True)
    )
    groups = sizes["groups"]
    if min(out_size) < 1:
        raise UsageError(f"--conv: a filter of {kernel[0]}x{kernel[1]} does not fit on {in_size[0]}x{in_size[1]}")
    if in_width % groups or out_width % groups:
        raise UsageError(f"--conv: {groups} groups do not divide {in_width} input and {out_width} output channels")
    batch = sizes["n"]
    work = Convolution(
        batch, in_width, out_width, in_size, out_size, kernel, (sizes["stride"],) * 2, edges, (sizes["dilation"],) * 2,
        groups,
    )  # fmt: skip
    if work.macs > MOST_MACS:
        raise UsageError(f"--conv: the layer has more than {MOST_MACS:g} multiply-adds: check its sizes")
    return Layer(
        name="convolution",
        operator="Conv",
        work=work,
        inputs=(TensorSpec("x", (batch, in_width, *in_size)),),
        weights=(TensorSpec("w", (out_width, in_width // groups, *kernel)),),
        outputs=(TensorSpec("y", (batch, out_width, *out_size)),),
    )


def _size(name: str, text: str, least: int = 1) -> int:
    number = whole_number(text)
    if number is None or not least <= number <= _LARGEST:
        raise UsageError(f"--conv {name}='{plain_line(text, 60)}': expected a whole number from {least} to {_LARGEST}")
    return number


def _is_size(text: str) -> bool:
    number = whole_number(text)
    return number is not None and 1 <= number <= _LARGEST
